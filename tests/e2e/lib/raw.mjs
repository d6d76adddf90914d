// HTTP below HTTP libraries: bytes as they are, and what comes back until the connection ends.
import net from 'node:net';
import { within } from './wait.mjs';

// All answers in what a connection brought: [{ status, headers, text, json }].
export function parse(text) {
    const answers = [];
    while (text.length > 0) {
        const end = text.indexOf('\r\n\r\n');
        if (end < 0)
            break;
        const [line, ...fields] = text.slice(0, end).split('\r\n');
        const headers = Object.fromEntries(fields.map((field) => {
            const at = field.indexOf(':');
            return [field.slice(0, at).toLowerCase(), field.slice(at + 1).trim()];
        }));
        text = text.slice(end + 4);
        const length = Number(headers['content-length'] ?? text.length);
        const body = text.slice(0, length);
        text = text.slice(length);
        answers.push({
            status: Number(line.split(' ')[1]), headers, text: body,
            json: /json/.test(headers['content-type'] ?? '') && body ? JSON.parse(body) : undefined,
        });
    }
    return answers;
}

export class Wire {
    constructor(cesid, { from } = {}) {
        this.text = '';
        this.begin = performance.now();
        this.socket = net.connect({ host: '127.0.0.1', port: cesid.port, localAddress: from });
        this.socket.setEncoding('utf8').on('data', (data) => { this.text += data; });
        this.socket.on('error', () => {});
        this.closed = new Promise((resolve) => this.socket.on('close', () => {
            this.took = (performance.now() - this.begin) / 1000;
            resolve(this);
        }));
        this.open = true;
        this.closed.then(() => { this.open = false; });
    }

    write(bytes) {
        this.socket.write(bytes);
        return this;
    }

    // Bytes one at a time, until the connection ends.
    drip(bytes, seconds) {
        let at = 0;
        const timer = setInterval(() => this.socket.write(bytes[at++ % bytes.length]),
            seconds * 1000);
        this.closed.then(() => clearInterval(timer));
        return this;
    }

    async end(seconds = 40) {
        await within('the end of a raw exchange', this.closed, seconds);
        return parse(this.text);
    }

    destroy() {
        this.socket.destroy();
    }
}

// The one answer to it; without one its status is NaN.
export async function raw(cesid, bytes, options) {
    const answers = await new Wire(cesid, options).write(bytes).end();
    return answers.length === 1 ? answers[0] : { status: NaN, headers: {}, text: '', answers };
}
