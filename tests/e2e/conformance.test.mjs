// RFC 6455 to the letter: what a proper library never sends gets the right answer or a clean close.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { RawSocket, close, frame } from './lib/frames.mjs';
import { until } from './lib/wait.mjs';

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10];
const ping = '{"type": "ping"}';
const pongs = (socket) => socket.messages.filter(({ type }) => type === 'pong').length;

let cesid;
before(async () => {
    cesid = new Cesid();
    await cesid.start();
    await cesid.login();
});
after(() => cesid?.stop());

async function closesWith(code, what, ...frames) {
    const socket = await RawSocket.open(cesid);
    socket.send(...frames);
    assert.equal(await socket.closeCode(), code, what);
    assert.ok(socket.frames.every(({ masked }) => !masked), 'a server does not mask');
}

test('a message in fragments is one message, with pings answered in between', async () => {
    const socket = await RawSocket.open(cesid);
    const pieces = [...ping].map((letter, i) => frame(i === 0 ? TEXT : CONTINUATION, letter,
        { final: i === ping.length - 1 }));
    socket.send(...pieces.flatMap((piece, i) => i === 5 ? [frame(PING, 'five'), piece] : [piece]));
    await socket.message('pong');
    const pong = socket.frames.find(({ opcode }) => opcode === PONG);
    assert.equal(pong.data.toString(), 'five');
    socket.send(frame(TEXT, '', { final: false }), frame(CONTINUATION, ping, { final: false }),
        frame(CONTINUATION, ''));
    await until('the second pong', () => pongs(socket) === 2);
    socket.send(close(1000));
    assert.equal(await socket.closeCode(), 1000);
});

test('bytes may come one by one, and many frames at once', async () => {
    const socket = await RawSocket.open(cesid);
    await socket.drip(Buffer.concat([frame(TEXT, ping), frame(PING, 'x'.repeat(125))]));
    await until('the answers', () => pongs(socket) === 1 &&
        socket.frames.some(({ opcode, data }) => opcode === PONG && data.length === 125));
    socket.send(...Array.from({ length: 10 }, () => frame(TEXT, ping)));
    await until('ten more', () => pongs(socket) === 11);
    socket.send(frame(TEXT, ping.padEnd(65536), { width: 8 }), frame(TEXT, ping, { width: 8 }),
        frame(TEXT, ping, { width: 2 }));
    await until('the largest, and lengths in more bytes than needed', () => pongs(socket) === 14);
    socket.send(close(1001));
    assert.equal(await socket.closeCode(), 1000);
});

test('a frame that is not masked ends the connection', async () => {
    await closesWith(1002, 'text', frame(TEXT, ping, { mask: false }));
    await closesWith(1002, 'after a good one', frame(TEXT, ping),
        frame(PING, '', { mask: false }));
    await closesWith(1002, 'close', frame(CLOSE, Buffer.from([3, 232]), { mask: false }));
    const socket = await RawSocket.open(cesid);
    socket.send(frame(TEXT, ping));
    await socket.message('pong');
    await socket.drip(frame(TEXT, ping, { mask: false }));
    assert.equal(await socket.closeCode(), 1002);
    assert.equal(pongs(socket), 1);
});

test('a header that announces too much ends the connection before a byte of it comes', async () => {
    await closesWith(1009, '64 KiB and one', frame(TEXT, '', { length: 65537 }));
    await closesWith(1009, '2 GiB', frame(TEXT, '', { length: 2 ** 31 - 1 }));
    await closesWith(1009, 'a fragment', frame(TEXT, 'x', { final: false }),
        frame(CONTINUATION, '', { length: 2 ** 40 }));
    await closesWith(1009, 'fragments that add up',
        frame(TEXT, 'x'.repeat(65000), { final: false }), frame(CONTINUATION, 'x'.repeat(65000)));
});

test('what the protocol forbids ends the connection', async () => {
    for (const reserved of [1, 2, 4])
        await closesWith(1002, `reserved bit ${reserved}`, frame(TEXT, ping, { reserved }));
    for (const opcode of [3, 7, 11, 15])
        await closesWith(1002, `opcode ${opcode}`, frame(opcode, 'x'));
    await closesWith(1002, 'a ping in fragments', frame(PING, 'x', { final: false }));
    await closesWith(1002, 'a ping of 126 bytes', frame(PING, 'x'.repeat(126)));
    await closesWith(1002, 'a continuation of nothing', frame(CONTINUATION, ping));
    await closesWith(1002, 'a message within a message', frame(TEXT, '{', { final: false }),
        frame(TEXT, ping));
    await closesWith(1003, 'binary', frame(BINARY, ping));
});

test('text is UTF-8, also when a character is cut by fragments', async () => {
    for (const bytes of [[0xC3, 0x28], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
        [0xE2, 0x82]])
        await closesWith(1007, String(bytes), frame(TEXT, Buffer.from([0x22, ...bytes])));
    await closesWith(1007, 'in two', frame(TEXT, Buffer.from([0x22, 0xE2]), { final: false }),
        frame(CONTINUATION, Buffer.from([0x28, 0xA1])));

    const socket = await RawSocket.open(cesid);
    const text = Buffer.from('{"type": "päng€"}');
    const cut = text.indexOf(0xE2) + 1;
    socket.send(frame(TEXT, text.subarray(0, cut), { final: false }),
        frame(CONTINUATION, text.subarray(cut)));
    await socket.message('error');
    socket.send(close(1000));
    assert.equal(await socket.closeCode(), 1000);
});

test('a close is answered with a close of the right code', async () => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999])
        await closesWith(1000, String(code), close(code, 'bye'));
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
        await closesWith(1002, String(code), close(code));
    await closesWith(1000, 'without a code', frame(CLOSE));
    await closesWith(1002, 'half a code', frame(CLOSE, 'x'));
    await closesWith(1007, 'a reason that is no text', frame(CLOSE,
        Buffer.from([3, 232, 0xC3, 0x28])));
    const socket = await RawSocket.open(cesid);
    socket.send(close(1000), frame(TEXT, ping));
    assert.equal(await socket.closeCode(), 1000);
    assert.equal(pongs(socket), 0, 'nothing is heard after a close');
});

test('who does not wait for the handshake is turned away', async () => {
    const socket = await RawSocket.open(cesid, { early: frame(TEXT, ping) });
    assert.equal(await socket.closeCode(), 1002);
});
