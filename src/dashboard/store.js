// The fleet as this page knows it: nodes and totals from the socket's snapshot and messages,
// failing processes read once and kept current. While the socket is away but the API answers,
// nodes are read over HTTP now and then.
import { batch, computed, effect, signal } from '@preact/signals';
import { outcomes } from './actions.js';
import { apiPath, get, getAll } from './api.js';
import { Fleet } from './lib/fleet.js';
import { ProcessSet, keyOf } from './lib/processset.js';
import { compareProcesses, failingStates, isFailing } from './lib/states.js';
import { can, phase } from './session.js';
import { contact, link, on, subscribe } from './socket.js';

const FAILING_MOST = 2000;
const FALLBACK_EVERY = 10_000;

const fleet = new Fleet();
// One that was just helped stays in sight until what came of it has been shown.
const failingSet = new ProcessSet((process, known) =>
    isFailing(process) || (known && outcomes.peek().has(keyOf(process))));

const places = new Map(); // as each was when it last failed: where it stands in the list

const version = signal(0); // moves when fleet does
const failingVersion = signal(0);
export const loaded = signal(false); // whether anything is known at all
export const failingState = signal({ loaded: false, problem: null, total: 0 });
export const updatedAt = signal(0); // when what is shown was last known to be true

// Many messages come at once; what is shown follows a few times a second.
let pending = 0;
function touch() {
    pending ||= setTimeout(() => {
        pending = 0;
        version.value++;
    }, fleet.nodes.size > 2000 ? 400 : 60);
}

export const nodes = computed(() => {
    version.value;
    return fleet.sorted();
});
export const totals = computed(() => {
    version.value;
    return structuredClone(fleet.totals);
});
export const environments = computed(() => {
    version.value;
    return fleet.environments();
});
export const failing = computed(() => {
    failingVersion.value;
    const items = [...failingSet.items.values()].map((process) => {
        const key = keyOf(process);
        if (isFailing(process))
            places.set(key, process);
        return { process, place: places.get(key) ?? process };
    });
    return items.sort((a, b) => compareProcesses(a.place, b.place)).map(({ process }) => process);
});

effect(() => {
    const shown = outcomes.value;
    if (failingSet.prune((process) => isFailing(process) || shown.has(keyOf(process))))
        failingVersion.value = failingVersion.peek() + 1;
});

export function nodeNamed(name) {
    version.value;
    return fleet.nodes.get(name) ?? null;
}

// A node object that came in an answer.
export function putNode(node) {
    fleet.put(node);
    touch();
}

let failingRead = null;
async function loadFailing() {
    failingRead?.abort();
    if (!can('process:read'))
        return;
    const read = failingRead = new AbortController();
    failingSet.begin();
    try {
        const items = [];
        let cursor, total = 0;
        do {
            const page = await get(apiPath('processes'),
                { state: failingStates.join(','), limit: 1000, cursor }, { signal: read.signal });
            items.push(...page.items);
            total = page.total;
            cursor = page.next;
        } while (cursor && items.length < FAILING_MOST);
        batch(() => {
            places.clear();
            failingSet.load(items);
            failingVersion.value++;
            failingState.value =
                { loaded: true, problem: null, total: Math.max(total, items.length) };
        });
    } catch (problem) {
        if (problem.name !== 'AbortError')
            failingState.value = { ...failingState.value, problem };
    }
}

function replaceNodes(list) {
    batch(() => {
        fleet.replace(list);
        version.value++;
        loaded.value = true;
        updatedAt.value = Date.now();
    });
}

on('snapshot', ({ nodes: list }) => {
    replaceNodes(list);
    loadFailing();
});
on('node', (node) => {
    fleet.put(node);
    touch();
});
on('node_removed', ({ name }) => {
    fleet.remove(name);
    if (failingSet.removeNode(name))
        failingVersion.value++;
    touch();
});
on('process', (process) => {
    fleet.move(process);
    if (failingSet.apply(process))
        failingVersion.value++;
    touch();
});

// What is shown is as old as the last message, or the last read without the socket.
export const shownAt = computed(() => Math.max(updatedAt.value, contact.value));

async function fallBack() {
    if (phase.value !== 'in' || link.value !== 'waiting' || document.hidden)
        return;
    try {
        replaceNodes(await getAll(apiPath('nodes')));
        await loadFailing();
    } catch {
        // the connection indicator tells
    }
}
setInterval(fallBack, FALLBACK_EVERY);

let release = null;
export function startStore() {
    release ??= subscribe('fleet');
}

// Signed out: nothing of what was seen stays.
export function stopStore() {
    release?.();
    release = null;
    failingRead?.abort();
    batch(() => {
        fleet.replace([]);
        failingSet.load([]);
        version.value++;
        failingVersion.value++;
        loaded.value = false;
        failingState.value = { loaded: false, problem: null, total: 0 };
        updatedAt.value = 0;
    });
}
