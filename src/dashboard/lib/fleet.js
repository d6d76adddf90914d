// All nodes by name with the totals over them, kept current from a snapshot and the messages after
// it. No signals and no network here: store.js wraps it.
import { compareNodes } from './states.js';

const emptyTotals = () => ({
    nodes: { up: 0, down: 0, connecting: 0, disabled: 0 },
    processes: {
        total: 0, running: 0, starting: 0, backoff: 0, stopping: 0, stopped: 0, exited: 0, fatal: 0,
        unknown: 0,
    },
});

export class Fleet {
    nodes = new Map();
    totals = emptyTotals();

    replace(nodes) {
        this.nodes = new Map();
        this.totals = emptyTotals();
        for (const node of nodes)
            this.put(node);
    }

    #count(node, sign) {
        this.totals.nodes[node.state] = (this.totals.nodes[node.state] ?? 0) + sign;
        for (const [state, number] of Object.entries(node.counts ?? {}))
            this.totals.processes[state] = (this.totals.processes[state] ?? 0) + sign * number;
    }

    // Older news than what is known is left alone.
    put(node) {
        const known = this.nodes.get(node.name);
        if (known && node.revision < known.revision)
            return;
        if (known)
            this.#count(known, -1);
        this.nodes.set(node.name, node);
        this.#count(node, 1);
    }

    remove(name) {
        const known = this.nodes.get(name);
        if (!known)
            return;
        this.#count(known, -1);
        this.nodes.delete(name);
    }

    // A process changed. Its node's counts follow in a message of the same revision; until then
    // they are moved here, so that totals are never behind the rows.
    move(process) {
        const node = this.nodes.get(process.node);
        if (!node?.counts || !(process.revision > node.revision))
            return;
        const counts = { ...node.counts };
        const shift = (state, by) => {
            const key = state?.toLowerCase();
            if (!key || key === 'removed' || !(key in counts) || key === 'total')
                return;
            counts[key] = Math.max(0, counts[key] + by);
            counts.total = Math.max(0, counts.total + by);
        };
        shift(process.previous, -1);
        shift(process.state, 1);
        this.#count(node, -1);
        const moved = { ...node, counts };
        this.nodes.set(node.name, moved);
        this.#count(moved, 1);
    }

    sorted() {
        return [...this.nodes.values()].sort(compareNodes);
    }

    environments() {
        const byName = new Map();
        for (const node of this.nodes.values()) {
            let environment = byName.get(node.environment);
            if (!environment)
                byName.set(node.environment,
                    environment = { name: node.environment, total: 0, ...emptyTotals() });
            environment.total++;
            environment.nodes[node.state]++;
            for (const state in node.counts)
                environment.processes[state] += node.counts[state];
        }
        const worst = ({ nodes, processes }) => nodes.down + processes.fatal > 0;
        return [...byName.values()].sort((a, b) =>
            worst(b) - worst(a) || (a.name < b.name ? -1 : 1));
    }
}

export function matchesNode(node, { q = '', state = '', environment = '' }) {
    if ((state && node.state !== state) || (environment && node.environment !== environment))
        return false;
    if (!q)
        return true;
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const labels = Object.entries(node.labels ?? {}).map(([key, value]) => `${key}=${value}`);
    const hay = [node.name, node.environment, node.state, node.cause ?? '', node.url ?? '',
        ...labels].join('\n').toLowerCase();
    return words.every((word) => hay.includes(word));
}
