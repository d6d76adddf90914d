// Processes that were read once over HTTP and are kept current by messages. What arrives while the
// read is under way is remembered and applied after it, unless the read was newer.

export const keyOf = (process) => `${process.node} ${process.id}`;

export class ProcessSet {
    items = new Map();
    #keeps;
    #pending = null;

    // keeps(process, known): whether it belongs here; known: whether it is here already.
    constructor(keeps = () => true) {
        this.#keeps = keeps;
    }

    begin() {
        this.#pending = [];
    }

    load(items) {
        this.items = new Map(items.map((process) => [keyOf(process), process]));
        const pending = this.#pending ?? [];
        this.#pending = null;
        for (const process of pending)
            this.apply(process);
    }

    // True when something that is shown changed.
    apply(process) {
        this.#pending?.push(process);
        const key = keyOf(process);
        const known = this.items.get(key);
        if (known && process.revision < known.revision)
            return false;
        if (process.state !== 'REMOVED' && this.#keeps(process, Boolean(known))) {
            this.items.set(key, process);
            return true;
        }
        return this.items.delete(key);
    }

    // Keeps only what passes; true when something went.
    prune(keeps) {
        const before = this.items.size;
        for (const [key, process] of this.items)
            if (!keeps(process))
                this.items.delete(key);
        return this.items.size < before;
    }

    removeNode(name) {
        return this.prune((process) => process.node !== name);
    }
}
