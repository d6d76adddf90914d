// What operations are called and how their parts look.
import { plural } from './format.js';

export const operationStates = {
    running: { tone: 'move', mark: 'half', word: 'Running' },
    done: { tone: 'good', mark: 'disc', word: 'Done' },
    partly: { tone: 'fail', mark: 'cross', word: 'Partly failed' },
    failed: { tone: 'fail', mark: 'cross', word: 'Failed' },
    cancelled: { tone: 'idle', mark: 'dash', word: 'Cancelled' },
    interrupted: { tone: 'warn', mark: 'triangle', word: 'Interrupted' },
};

// One that is over with failures is shown as what it is.
export function lookOfOperation({ state, total, failed }) {
    if (state === 'done' && failed > 0)
        return operationStates[failed >= total ? 'failed' : 'partly'];
    return operationStates[state];
}

export const resultLooks = {
    failed: { tone: 'fail', mark: 'cross', word: 'Failed' },
    running: { tone: 'move', mark: 'half', word: 'Under way' },
    waiting: { tone: 'idle', mark: 'square', word: 'Waiting' },
    ok: { tone: 'good', mark: 'disc', word: 'Done' },
};

export function kindOfResult({ ok, code }) {
    if (ok === null || ok === undefined)
        return code === 'waiting' ? 'waiting' : 'running';
    return ok ? 'ok' : 'failed';
}

const order = Object.keys(resultLooks);

// Failures first, then what is under way, each as the server has them.
export const sortedResults = (results) => results.map((result) => ({ ...result,
    kind: kindOfResult(result) })).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));

const verbs = { start: 'Start', stop: 'Stop', restart: 'Restart', signal: 'Signal',
    stdin: 'Send text to' };

export const verbOf = ({ action, signal }) =>
    (action === 'signal' && signal ? `Send ${signal} to` : verbs[action] ?? action);

export const titleOf = (operation) =>
    `${verbOf(operation)} ${plural(operation.total, 'process', 'processes')}`;

// How many targets of a preview are not as the action expects: there already, or not running.
const down = ['STOPPED', 'EXITED', 'FATAL'];
const settled = { start: ['RUNNING', 'STARTING'], stop: down, restart: down };
export const settledTargets = ({ action, targets }) =>
    targets.filter(({ state }) => settled[action]?.includes(state)).length;

const listNames = ['environments', 'nodes', 'labels', 'groups', 'processes'];
const words = (text) => (text ?? '').split(/[\s,]+/).filter(Boolean);

// The body of a request, from what the form holds. Empty fields are left out.
export function requestOf(values) {
    const select = {};
    for (const name of listNames)
        if (words(values[name]).length > 0)
            select[name] = words(values[name]);
    if (values.states?.length > 0)
        select.states = values.states;
    const body = { action: values.action, select };
    if (values.action === 'signal')
        body.signal = values.signal;
    for (const name of ['parallelism', 'timeout', 'batch_timeout'])
        if (String(values[name] ?? '').trim() !== '')
            body[name] = Number(values[name]);
    return body;
}
