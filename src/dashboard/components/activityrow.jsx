// One record of activity: a row, and all that is known of it when it is opened.
import { now } from '../clock.js';
import { results, summaryOf } from '../lib/activity.js';
import { ago, clock, duration, instant, moment } from '../lib/format.js';
import { nodePath, processPath } from '../lib/routes.js';
import { NextIcon } from './icons.jsx';
import { Link } from './link.jsx';
import { Badge } from './state.jsx';

function Target({ record: { resource, target } }) {
    if (!target)
        return <span class="faint">–</span>;
    if (resource === 'node')
        return <Link to={nodePath(target)}>{target}</Link>;
    const slash = target.indexOf('/');
    if (resource === 'process' && slash > 0)
        return (
            <Link to={processPath(target.slice(0, slash), target.slice(slash + 1))}>{target}</Link>
        );
    return target;
}

function Fact({ name, children }) {
    return children ? (
        <div class="fact">
            <dt>{name}</dt>
            <dd>{children}</dd>
        </div>
    ) : null;
}

function Details({ record }) {
    const details = Object.entries(record.details ?? {});
    return (
        <div role="cell" class="cell-details">
            <dl class="facts">
                <Fact name="When">{`${moment(record.at)} (${record.at})`}</Fact>
                <Fact name="Environment">{record.environment}</Fact>
                <Fact name="Status">{record.status}</Fact>
                <Fact name="Took">{record.duration > 0 && duration(record.duration)}</Fact>
                <Fact name="From">{record.address}</Fact>
                <Fact name="With">{record.user_agent}</Fact>
                <Fact name="Request">
                    {record.request_id && <span class="mono">{record.request_id}</span>}
                </Fact>
                <Fact name="Record">
                    <span class="mono">{record.id}</span>
                </Fact>
                {details.map(([key, value]) => (
                    <Fact key={key} name={key.replaceAll('_', ' ')}>
                        <span class="mono">
                            {typeof value === 'string' ? value || '–' : JSON.stringify(value)}
                        </span>
                    </Fact>
                ))}
            </dl>
        </div>
    );
}

export function ActivityRow({ record, open, onToggle }) {
    const looks = results[record.result] ?? results.pending;
    return (
        <div role="row" class={`row activity-row ${open ? 'open' : ''}`}>
            <div role="cell" class="cell-open">
                <button
                    type="button"
                    class="button quiet"
                    aria-expanded={open}
                    aria-label={`Details of ${record.action} at ${record.at}`}
                    onClick={onToggle}
                >
                    <NextIcon />
                </button>
            </div>
            <div role="cell" class="cell-when">
                <time dateTime={record.at} title={ago(now.value - instant(record.at))}>
                    {clock(record.at, now.value)}
                </time>
            </div>
            <div role="cell" class="cell-who breakable">
                {record.actor ?? <span class="faint">nobody</span>}
            </div>
            <div role="cell" class="cell-what mono breakable">
                {record.action}
            </div>
            <div role="cell" class="cell-target breakable">
                <Target record={record} />
            </div>
            <div
                role="cell"
                class={`cell-remark ${record.level === 'info' ? '' : 'alarmed'}`}
            >
                {summaryOf(record)}
            </div>
            <div role="cell" class="cell-state">
                <Badge look={looks} />
            </div>
            {open && <Details record={record} />}
        </div>
    );
}
