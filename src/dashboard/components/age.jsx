// Times that are read at a glance, and exactly on hover.
import { now } from '../clock.js';
import { ago, dataAge, instant, moment, span } from '../lib/format.js';
import { contact } from '../socket.js';

export function Since({ time, fallback = '–' }) {
    const at = instant(time);
    if (Number.isNaN(at))
        return <span class="faint">{fallback}</span>;
    return (
        <time dateTime={time} title={moment(time)}>
            {span(now.value - at)}
        </time>
    );
}

export function Ago({ time, fallback = 'never' }) {
    const at = instant(time);
    if (Number.isNaN(at))
        return <span class="faint">{fallback}</span>;
    return (
        <time dateTime={time} title={moment(time)}>
            {ago(now.value - at)}
        </time>
    );
}

// How old what is known of a node is.
export function DataAge({ node }) {
    if (node.state === 'disabled')
        return <span class="faint">not read</span>;
    const age = dataAge(node, contact.value, now.value);
    if (age === null)
        return <span class="faint">never read</span>;
    const old = node.state === 'down' || age > 60_000;
    return (
        <time
            dateTime={node.last_refresh}
            class={old ? 'old' : undefined}
            title={`last read ${moment(node.last_refresh)}`}
        >
            {ago(age)}
        </time>
    );
}
