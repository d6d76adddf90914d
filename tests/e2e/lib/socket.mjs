// A WebSocket client that keeps every message and insists on a gapless `seq`.
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { within } from './wait.mjs';

export class Socket {
    constructor(url, headers = {}, via = {}) {
        this.messages = [];
        this.heard = []; // what each subscribe() waits for
        this.waiting = new Set();
        this.ws = new WebSocket(url, { headers, perMessageDeflate: false, ...via });
        this.closed = new Promise((resolve) => {
            this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
        });
        this.opened = new Promise((resolve, reject) => {
            this.ws.once('open', resolve);
            this.ws.once('unexpected-response', (call, reply) => {
                const chunks = [];
                reply.on('data', (chunk) => chunks.push(chunk));
                reply.on('end', () => {
                    const text = Buffer.concat(chunks).toString();
                    reject(Object.assign(new Error(`${reply.statusCode} ${text}`), {
                        answer: {
                            status: reply.statusCode, headers: reply.headers, text,
                            json: /json/.test(reply.headers['content-type'] ?? '')
                                ? JSON.parse(text) : undefined,
                        },
                    }));
                });
            });
            this.ws.once('error', reject);
        });
        this.opened.catch(() => {});
        this.ws.on('error', () => {});
        this.ws.on('message', (data, binary) => this.#receive(data, binary));
    }

    #receive(data, binary) {
        if (binary)
            this.fault ??= 'a binary frame';
        const message = JSON.parse(data.toString());
        const expected = this.seq === undefined ? message.seq : this.seq + 1;
        this.seq = message.seq;
        if (message.seq !== expected)
            this.fault ??= `seq ${message.seq} after ${expected - 1}`;
        if (typeof message.at !== 'string' || !('data' in message))
            this.fault ??= `not a message: ${data}`;
        if (message.type === 'pong' && this.heard.length > 0) {
            this.heard.shift()();
            return;
        }
        this.messages.push(message);
        for (const look of this.waiting)
            look();
    }

    // The first message from `from` on that fits.
    async next(what, predicate, { from = 0, seconds = 10 } = {}) {
        let look;
        const found = new Promise((resolve) => {
            look = () => {
                const message = this.messages.slice(from).find(predicate);
                if (message)
                    resolve(message);
            };
            this.waiting.add(look);
            look();
        });
        try {
            const message = await within(
                () => `${what} on the WebSocket; got ${this.messages.slice(from)
                    .map((m) => m.type === 'process' ? `process(${m.data.id} ${m.data.state})`
                        : m.type).join(' ')}`, found, seconds);
            assert.equal(this.fault, undefined);
            return message;
        } finally {
            this.waiting.delete(look);
        }
    }

    // Where the next message will be: for `from`.
    get mark() {
        return this.messages.length;
    }

    send(message) {
        this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
    }

    // Once it is in force; the pong that tells so is in no list of messages.
    async subscribe(...topics) {
        const from = this.mark;
        this.send({ type: 'subscribe', topics });
        const heard = new Promise((resolve) => this.heard.push(resolve));
        this.send({ type: 'ping' });
        await within(`an answer to subscribe ${topics}`, heard);
        if (topics.includes('fleet'))
            return await this.next('a snapshot', (m) => m.type === 'snapshot', { from });
    }

    async close() {
        this.ws.close();
        const closed = await within('the close of a WebSocket', this.closed, 10);
        assert.equal(this.fault, undefined);
        return closed;
    }
}
