// How current the page is: live, or since when not, and what is being done about it.
import { now } from '../clock.js';
import { ago } from '../lib/format.js';
import { link, retryAt, retryNow, trouble } from '../socket.js';
import { shownAt } from '../store.js';
import { Mark, WarnIcon } from './icons.jsx';

const looks = {
    live: { tone: 'good', mark: 'disc' },
    connecting: { tone: 'move', mark: 'half' },
    waiting: { tone: 'fail', mark: 'cross' },
    off: { tone: 'idle', mark: 'dash' },
};

const words = { live: 'Live', connecting: 'Connecting', waiting: 'Not live', off: 'Not connected' };

// While live, nothing is said of a silence that heartbeats explain.
function since() {
    const age = now.value - shownAt.value;
    if (shownAt.value === 0 || link.value === 'off' || (link.value === 'live' && age < 60_000))
        return '';
    return ` · last update ${ago(age)}`;
}

export function Connection() {
    const look = looks[link.value];
    return (
        <span class={`connection tone-${look.tone}`}>
            <Mark shape={look.mark} />
            <span class="connection-text">
                {words[link.value]}
                <span class="connection-since">{since()}</span>
            </span>
            <span class="hidden" role="status">
                {link.value === 'live' ? 'Live updates are on' : 'Live updates are interrupted'}
            </span>
        </span>
    );
}

// Under the header while the page is not live: what is shown may no longer be true.
export function ConnectionBanner() {
    const lost = link.value === 'waiting' || (link.value === 'connecting' && trouble.value !== '');
    if (!lost)
        return null;
    const seconds = Math.max(0, Math.ceil((retryAt.value - now.value) / 1000));
    return (
        <div class="banner">
            <WarnIcon />
            <p>
                <strong>Live updates are interrupted.</strong> {trouble.value}{' '}
                {shownAt.value > 0 && `What you see was true ${ago(now.value - shownAt.value)}. `}
                {link.value === 'connecting'
                    ? 'Connecting…'
                    : seconds > 0
                      ? `Next attempt in ${seconds} s.`
                      : 'Trying again…'}
            </p>
            <button
                type="button"
                class="button"
                onClick={retryNow}
                disabled={link.value !== 'waiting'}
            >
                Try now
            </button>
        </div>
    );
}
