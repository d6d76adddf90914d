// What the user told processes to do, and what came of it: one entry a target, as a signal, so that
// the row it belongs to shows it.
import { signal } from '@preact/signals';
import { Problem, apiPath, get, post, request } from './api.js';
import { keyOf } from './lib/processset.js';
import { forcible, kept, words } from './lib/words.js';
import { on, subscribe } from './socket.js';

const SHOW_SUCCESS = 8000;
const POLL_EVERY = 2000;

// key -> {action, phase: 'pending' | 'ok' | 'failed', problem, operation, answer, started}
export const outcomes = signal(new Map());
export const spoken = signal(''); // the latest outcome, for screen readers

function put(key, outcome) {
    const next = new Map(outcomes.value);
    if (outcome)
        next.set(key, outcome);
    else
        next.delete(key);
    outcomes.value = next;
}

export const dismiss = (key) => put(key, null);

function settle(key, name, outcome) {
    put(key, outcome);
    const { done, not } = words[outcome.action];
    spoken.value = outcome.phase === 'ok' ? `${done}: ${name}`
        : `${not}: ${name}. ${outcome.problem?.detail ?? ''}`;
    if (outcome.phase === 'ok' && !kept.includes(outcome.action))
        setTimeout(() => {
            if (outcomes.value.get(key) === outcome)
                put(key, null);
        }, SHOW_SUCCESS);
}

// Until the operation is over: by its messages, and by asking now and then should one be missed.
function finished(operation, progress) {
    if (operation.state !== 'running')
        return Promise.resolve(operation);
    return new Promise((resolve, reject) => {
        const release = subscribe('operations');
        const unlisten = on('operation', (news) => {
            if (news.id === operation.id)
                take(news);
        });
        const timer = setInterval(async () => {
            try {
                take(await get(apiPath('operations', operation.id)));
            } catch (problem) {
                if (!problem.isNetwork)
                    end(() => reject(problem));
            }
        }, POLL_EVERY);
        let over = false;

        function end(how) {
            if (over)
                return;
            over = true;
            clearInterval(timer);
            unlisten();
            release();
            how();
        }

        function take(news) {
            if (news.state === 'running')
                progress(news);
            else
                end(() => resolve(news));
        }
    });
}

function problemOfResults({ state, total, failed, results = [] }) {
    if (state === 'done' && failed === 0)
        return null;
    const first = results.find((result) => result.ok === false);
    if (total <= 1 && first)
        return new Problem({ status: 1, code: first.code, title: '', detail: first.detail });
    if (state !== 'done')
        return new Problem({ status: 1, code: state, title: '', detail:
            `The operation was ${state}: ${failed} of ${total} failed.` });
    const codes = new Set(results.filter(({ ok }) => ok === false).map(({ code }) => code));
    return new Problem({ status: 1, code: codes.size === 1 ? [...codes][0] : 'partly', title: '',
        detail: `${failed} of ${total} failed.` });
}

const isOperation = (answer) => typeof answer?.action === 'string' && 'results' in answer;

// A check that finds something wrong is a success of the API, and none for who asked.
const problemOfCheck = ({ ok, cause, hint, detail }) => (ok === false
    ? new Problem({ status: 1, code: cause, title: '', detail: hint ?? detail ?? cause }) : null);

// key and name say whose outcome it is; call(query) makes the request. What failed because the
// node's breaker is open may be tried all the same: retry does, where the API takes force.
async function run(key, name, action, call, { force } = {}) {
    if (outcomes.value.get(key)?.phase === 'pending')
        return;
    const started = Date.now();
    const pending = { action, phase: 'pending', problem: null, operation: null, started };
    put(key, pending);
    try {
        const answer = await call(force ? { force: true } : undefined);
        const operation = isOperation(answer)
            ? await finished(answer, (news) => put(key, { ...pending, operation: news })) : null;
        const problem = operation ? problemOfResults(operation)
            : action === 'check' ? problemOfCheck(answer) : null;
        settle(key, name, { ...pending, phase: problem ? 'failed' : 'ok', problem, operation,
            answer, took: Date.now() - started, retry: retryOf(problem) });
    } catch (problem) {
        settle(key, name, { ...pending, phase: 'failed', problem, retry: retryOf(problem) });
    }

    function retryOf(problem) {
        return problem?.code === 'node_circuit_open' && forcible.has(action)
            ? () => run(key, name, action, call, { force: true }) : null;
    }
}

// body: {signal} or {data} of the actions that need it.
export function processAction(process, action, body) {
    const at = (...rest) => apiPath('nodes', process.node, 'processes', process.id, ...rest);
    return run(keyOf(process), `${process.id} on ${process.node}`, action, (query) =>
        (action === 'clear' ? request('DELETE', at('log')) : post(at(action), body, { query })));
}

export const nodeKey = (name) => `${name} *`;

export function nodeAction(name, action) {
    return run(nodeKey(name), name, action, (query) =>
        post(apiPath('nodes', name, ...action.split('/')), undefined, { query }));
}
