// How cesid's own parts are called, how their states look, and their figures in words.
import { bytes, count, duration } from './format.js';

export const healthLooks = {
    failed: { tone: 'fail', mark: 'cross', word: 'Failed' },
    degraded: { tone: 'warn', mark: 'triangle', word: 'Degraded' },
    ok: { tone: 'good', mark: 'disc', word: 'Ok' },
};

const order = Object.keys(healthLooks);

export const componentWords = {
    store: 'Keeps users, sessions, nodes and the record',
    refresh: 'Polls the nodes',
    hub: 'Serves live updates',
    operations: 'Starts and stops processes',
    bus: 'Carries events between the parts',
    journal: 'Writes the activity record',
    nodes: 'The nodes themselves',
    threads: 'Every thread makes progress',
    resources: 'Memory and descriptors',
};

// Worst first, else as the server has them.
export const sortedComponents = (components) => Object.entries(components)
    .sort(([, a], [, b]) => order.indexOf(a.status) - order.indexOf(b.status));

const told = ['status', 'since', 'reason'];
const seconds = ['lag', 'latency', 'age', 'duration', 'oldest'];
const sizes = /bytes|memory|_size$|limit_bytes/;

export function figure(name, value) {
    if (seconds.includes(name))
        return value === 0 ? '0 s' : duration(value);
    if (name === 'spill_limit' || sizes.test(name))
        return bytes(value);
    return Number.isInteger(value) ? count(value) : String(Math.round(value * 1000) / 1000);
}

export const figuresOf = (component) => Object.entries(component)
    .filter(([name, value]) => !told.includes(name) && typeof value === 'number')
    .map(([name, value]) => [name.replaceAll('_', ' '), figure(name, value)]);
