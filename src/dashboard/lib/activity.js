// Filters of the activity record: what the address holds, what the server is asked, what matches.
import { matchesGlob } from './permissions.js';

export const results = {
    ok: { tone: 'good', mark: 'disc', word: 'Ok' },
    refused: { tone: 'warn', mark: 'triangle', word: 'Refused' },
    failed: { tone: 'fail', mark: 'cross', word: 'Failed' },
    interrupted: { tone: 'odd', mark: 'question', word: 'Interrupted' },
    pending: { tone: 'move', mark: 'half', word: 'Pending' },
};

export const spans = [['900', 'Last 15 minutes'], ['3600', 'Last hour'], ['86400', 'Last 24 hours'],
    ['604800', 'Last 7 days'], ['between', 'Between…']];

export const filterNames = ['actor', 'action', 'target', 'result', 'span', 'since', 'until'];

export const knownActions = [
    'auth.login', 'auth.logout', 'auth.password', 'log.clear', 'node.create', 'node.delete',
    'node.state', 'node.update', 'operation.cancel', 'operation.create', 'process.restart',
    'process.signal', 'process.start', 'process.state', 'process.stdin', 'process.stop',
    'supervisor.reread', 'supervisor.restart', 'supervisor.shutdown', 'supervisor.update',
    'system.log_level', 'system.reload', 'system.start', 'system.stop',
];

// A word without a star is looked for anywhere in the name.
const anywhere = (text) => (text && !/[*?]/.test(text) ? `*${text.replaceAll('\\', '\\\\')}*` : text);

// Of a local date and time as a form has it; '' for what is none.
function instantOf(local) {
    const at = new Date(local);
    return local && !Number.isNaN(at.getTime()) ? at.toISOString() : '';
}

// filter: values by filterNames; now in milliseconds.
export function queryOf(filter, now) {
    const query = { actor: anywhere(filter.actor), action: anywhere(filter.action),
        target: anywhere(filter.target), result: filter.result };
    if (filter.span === 'between') {
        query.since = instantOf(filter.since);
        query.until = instantOf(filter.until);
    } else if (Number(filter.span) > 0) {
        query.since = new Date(now - Number(filter.span) * 1000).toISOString();
    }
    return Object.fromEntries(Object.entries(query).filter(([, value]) => value));
}

// Whether a record that just came belongs to what query asks for.
export function matchesRecord(record, query) {
    for (const name of ['actor', 'action', 'target'])
        if (query[name] && !matchesGlob(query[name], record[name] ?? ''))
            return false;
    if (query.result && record.result !== query.result)
        return false;
    return !(query.since && record.at < query.since) && !(query.until && record.at >= query.until);
}

const shownFirst = ['detail', 'code', 'signal', 'total', 'level', 'subsystem', 'role', 'environment'];

// What is worth a glance of a record's details.
export function summaryOf({ details }) {
    if (!details)
        return '';
    if (details.from !== undefined && details.to !== undefined)
        return `${details.from ?? '–'} → ${details.to ?? '–'}${details.cause ? ` (${details.cause})` : ''}`;
    if (details.total !== undefined && details.action !== undefined)
        return `${details.action}, ${details.total} targets`;
    const name = shownFirst.find((key) => ['string', 'number'].includes(typeof details[key]) &&
        details[key] !== '');
    return name ? (['detail', 'code'].includes(name) ? String(details[name])
        : `${name} ${details[name]}`) : '';
}
