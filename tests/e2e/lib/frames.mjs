// A WebSocket client that sends whatever bytes it is told to, for what no proper library sends.
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { until, within } from './wait.mjs';

// One frame. mask: false leaves it off. length: what the header announces, if not the truth.
export function frame(opcode, payload = '', { final = true, mask = true, reserved = 0,
    length, width } = {}) {
    const data = Buffer.from(payload);
    const announced = length ?? data.length;
    const size = width ?? (announced < 126 ? 0 : announced < 65536 ? 2 : 8);
    const header = Buffer.alloc(2 + size);
    header[0] = (final ? 0x80 : 0) | (reserved << 4) | opcode;
    header[1] = (mask ? 0x80 : 0) | (size === 8 ? 127 : size === 2 ? 126 : announced);
    if (size === 2)
        header.writeUInt16BE(announced, 2);
    if (size === 8)
        header.writeBigUInt64BE(BigInt(announced), 2);
    if (!mask)
        return Buffer.concat([header, data]);
    const key = randomBytes(4);
    return Buffer.concat([header, key, data.map((byte, i) => byte ^ key[i % 4])]);
}

export const close = (code, reason = '') => {
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    return frame(8, payload);
};

export class RawSocket {
    // early: bytes sent along with the handshake.
    static async open(cesid, { early = Buffer.alloc(0) } = {}) {
        const socket = new RawSocket();
        const key = randomBytes(16).toString('base64');
        socket.tcp = connect(cesid.port, '127.0.0.1');
        socket.tcp.on('error', () => {});
        socket.bytes = Buffer.alloc(0);
        socket.frames = [];
        socket.tcp.on('data', (data) => socket.#receive(data));
        socket.ended = new Promise((resolve) => socket.tcp.once('close', resolve));
        socket.tcp.write(Buffer.concat([Buffer.from(
            `GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:${cesid.port}\r\nUpgrade: websocket\r\n` +
            `Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n` +
            `Authorization: Bearer ${cesid.token}\r\n\r\n`), early]));
        await until('the handshake', () => socket.head);
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
            .digest('base64');
        if (!socket.head.includes(accept))
            throw new Error(`no handshake: ${socket.head}`);
        return socket;
    }

    #receive(data) {
        this.bytes = Buffer.concat([this.bytes, data]);
        if (!this.head) {
            const end = this.bytes.indexOf('\r\n\r\n');
            if (end < 0)
                return;
            this.head = this.bytes.subarray(0, end).toString();
            this.bytes = this.bytes.subarray(end + 4);
        }
        for (;;) {
            if (this.bytes.length < 2)
                return;
            const short = this.bytes[1] & 0x7F;
            const at = short === 127 ? 10 : short === 126 ? 4 : 2;
            if (this.bytes.length < at)
                return;
            const length = short === 127 ? Number(this.bytes.readBigUInt64BE(2))
                : short === 126 ? this.bytes.readUInt16BE(2) : short;
            if (this.bytes.length < at + length)
                return;
            this.frames.push({
                opcode: this.bytes[0] & 0x0F, final: (this.bytes[0] & 0x80) !== 0,
                masked: (this.bytes[1] & 0x80) !== 0, data: this.bytes.subarray(at, at + length),
            });
            this.bytes = this.bytes.subarray(at + length);
        }
    }

    send(...frames) {
        this.tcp.write(Buffer.concat(frames));
    }

    // One byte a packet, as far as the kernel plays along.
    async drip(bytes) {
        this.tcp.setNoDelay(true);
        for (const byte of bytes)
            await new Promise((resolve) => this.tcp.write(Buffer.from([byte]), resolve));
    }

    // The text messages so far, as objects.
    get messages() {
        return this.frames.filter(({ opcode }) => opcode === 1)
            .map(({ data }) => JSON.parse(data.toString()));
    }

    async message(type) {
        await until(`a message ${type}`, () => this.messages.some((m) => m.type === type));
    }

    // The code of the closing frame, once the server has also let go of the connection.
    async closeCode() {
        await within('the end of the connection', this.ended);
        const closing = this.frames.find(({ opcode }) => opcode === 8);
        return closing && closing.data.length >= 2 ? closing.data.readUInt16BE(0) : undefined;
    }
}
