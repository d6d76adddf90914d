// Follows one log: reads its tail over HTTP, then takes the socket's messages, and puts the two
// together. What was missed between them, or while the connection was away, is read and filled in.
import { apiPath, get } from './api.js';
import { LogBuffer } from './lib/logbuffer.js';
import { on, subscribe } from './socket.js';

const TAIL = 64 * 1024;
const FILL_MOST = 256 * 1024;
const SHOW_EVERY = 80;

export class LogFeed {
    buffer = new LogBuffer();
    problem = null; // why it could not be read
    told = null; // what the server says of the stream: an error code, or null
    size = null;
    loading = true;
    arrived = 0; // lines since seen() was called last
    #changed;
    #timer = 0;
    #queue = []; // messages that wait for a read
    #reading = null;
    #stops = [];

    // changed is called, not too often, after anything here changed.
    constructor(node, process, stream, changed) {
        Object.assign(this, { node, process, stream });
        this.#changed = changed;
        this.path = apiPath('nodes', node, 'processes', process, 'log');
        this.topic = `log:${node}:${process}:${stream}`;
    }

    start() {
        this.#stops = [
            on('log', (message) => this.#receive(message)),
            on('live', () => this.#catchUp()),
            on('resync', () => this.#catchUp()),
            subscribe(this.topic),
        ];
        this.#catchUp();
    }

    stop() {
        this.#reading?.abort();
        clearTimeout(this.#timer);
        for (const stop of this.#stops)
            stop();
    }

    seen() {
        this.arrived = 0;
    }

    #touch() {
        this.#timer ||= setTimeout(() => {
            this.#timer = 0;
            this.#changed();
        }, SHOW_EVERY);
    }

    #read(query) {
        return get(this.path, { stream: this.stream, ...query }, { signal: this.#reading.signal });
    }

    // From nothing, or from where the last connection ended, to the log's end.
    async #catchUp() {
        this.#reading?.abort();
        const reading = this.#reading = new AbortController();
        const { buffer } = this;
        buffer.interrupt();
        this.loading = buffer.next === null;
        this.#touch();
        try {
            if (buffer.next === null) {
                this.#take(await this.#read({ offset: -TAIL }));
            } else {
                const end = await this.#read({ offset: -1, length: 1 });
                if (end.size < buffer.sure) {
                    buffer.restart();
                    this.#take(await this.#read({ offset: -TAIL }));
                } else if (end.size > buffer.next) {
                    const from = Math.max(buffer.next, end.size - FILL_MOST);
                    this.#take(await this.#read({ offset: from, length: FILL_MOST }));
                }
            }
            this.problem = null;
        } catch (problem) {
            if (problem.name === 'AbortError')
                return;
            this.problem = problem;
        }
        if (this.#reading !== reading)
            return;
        this.#reading = null;
        this.loading = false;
        this.#drain();
    }

    #take(answer) {
        this.size = answer.size;
        this.#counted(() => this.buffer.read(answer));
    }

    #counted(change) {
        const before = this.buffer.lines.length + this.buffer.dropped;
        change();
        this.arrived += this.buffer.lines.length + this.buffer.dropped - before;
        this.#touch();
    }

    #receive(message) {
        if (message.node !== this.node || message.process !== this.process ||
            message.stream !== this.stream)
            return;
        this.#queue.push(message);
        if (!this.#reading)
            this.#drain();
    }

    async #drain() {
        while (this.#queue.length > 0) {
            const message = this.#queue[0];
            const missing = message.data ? this.buffer.missing(message) : 0;
            if (missing > 0 && missing <= FILL_MOST) {
                await this.#fill(missing);
                if (this.#queue[0] !== message)
                    return;
            }
            this.#queue.shift();
            this.told = message.error ?? null;
            if (message.data || message.skipped > 0)
                this.#counted(() => this.buffer.message(message));
            else if (message.error)
                this.#touch();
            else
                this.#counted(() => this.buffer.goesOn(message));
        }
    }

    async #fill(missing) {
        const reading = this.#reading = new AbortController();
        try {
            this.#take(await this.#read({ offset: this.buffer.next, length: missing }));
        } catch {
            // the gap is shown instead
        }
        if (this.#reading === reading)
            this.#reading = null;
    }

    // The log itself was emptied. The stream goes on, perhaps in the offsets of the old file: what
    // it brings next is taken as it comes.
    cleared() {
        this.buffer.clear();
        this.buffer.restart('cleared');
        this.#touch();
    }
}
