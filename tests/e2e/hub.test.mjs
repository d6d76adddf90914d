// The hub under hostile and unlucky clients: who stalls, vanishes, shouts or lies harms nobody.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { slow, until, within } from './lib/wait.mjs';

let node, cesid;
before(async () => {
    node = new Supervisord({ name: 'one', programs: { lone: { command: '/bin/sleep 100000' } } });
    await node.start();
    cesid = await open({ websocket: { rate: 5000.0, burst: 5000, queue: 32 } });
});
after(async () => {
    await cesid?.stop();
    node?.child?.kill();
});

async function open(config) {
    const server = new Cesid({ nodes: [nodeConfig(node)], config });
    await server.start();
    await server.login();
    await server.nodeIs('one', 'up');
    return server;
}

const isType = (type) => (message) => message.type === type;
const files = (server) => readdirSync(`/proc/${server.child.pid}/fd`).length;
const resident = (server) => Number(/^VmRSS:\s+(\d+)/m.exec(
    readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]) / 1024;
const restart = (server) => server.post('/nodes/one/processes/lone/restart');

// A connection that is a WebSocket after the handshake, and then whatever the test makes of it.
class Raw {
    static async open(server) {
        const raw = new Raw();
        raw.socket = net.connect({ port: server.port, host: '127.0.0.1' });
        raw.received = Buffer.alloc(0);
        raw.socket.on('data', (chunk) => { raw.received = Buffer.concat([raw.received, chunk]); });
        raw.socket.on('error', () => {});
        raw.ended = new Promise((resolve) => raw.socket.once('close', resolve));
        raw.socket.write('GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n' +
            'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
            `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
            `Authorization: Bearer ${server.token}\r\n\r\n`);
        await until('the upgrade', () => raw.received.includes('\r\n\r\n') &&
            raw.received.includes('hello'));
        return raw;
    }

    // One masked frame.
    frame(opcode, payload, final = true) {
        const data = Buffer.from(payload);
        const head = data.length < 126
            ? Buffer.from([(final ? 0x80 : 0) | opcode, 0x80 | data.length])
            : Buffer.from([(final ? 0x80 : 0) | opcode, 0x80 | 126, data.length >> 8,
                data.length & 255]);
        this.socket.write(Buffer.concat([head, Buffer.from([0, 0, 0, 0]), data]));
    }

    // The code of the close frame at the end of what came.
    get closeCode() {
        const at = this.received.length - 4;
        assert.equal(this.received[at], 0x88, this.received.subarray(-40).toString('latin1'));
        assert.equal(this.received[at + 1], 2);
        return this.received.readUInt16BE(at + 2);
    }
}

// Seconds until each of the sockets has answered a ping, asked one after the other.
async function answers(sockets, rounds) {
    const took = [];
    for (let i = 0; i < rounds; i++) {
        for (const socket of sockets) {
            const from = socket.mark;
            const begin = performance.now();
            socket.send({ type: 'ping' });
            await socket.next('pong', isType('pong'), { from });
            took.push((performance.now() - begin) / 1000);
        }
    }
    return took.sort((a, b) => a - b)[Math.floor(took.length * 0.95)];
}

test('a tenth that stops reading delays nobody, and is told to look anew', async () => {
    const crowd = await Promise.all(Array.from({ length: 40 }, () => cesid.socket()));
    await Promise.all(crowd.map((socket) => socket.subscribe('fleet')));
    const lazy = crowd.filter((socket, i) => i % 10 === 0);
    const healthy = crowd.filter((socket, i) => i % 10 !== 0);
    const before = await answers(healthy, 5);
    const memory = resident(cesid);
    for (const socket of lazy) {
        socket.ws._socket.pause();
        // Far more than the kernel holds for it.
        for (let i = 0; i < 3000; i++)
            socket.send({ type: 'subscribe', topics: ['fleet'] });
    }
    const during = await answers(healthy, 5);
    assert.ok(during < before * 10 + 0.5 * slow, `${before} s before, ${during} s during`);
    const marks = healthy.map((socket) => socket.mark);
    expectOk(await restart(cesid));
    await Promise.all(healthy.map((socket, i) => socket.next('the restart', (m) =>
        m.type === 'process' && m.data.state === 'RUNNING', { from: marks[i] })));
    if (slow === 1)
        assert.ok(resident(cesid) < memory + 60, `${memory} MiB before, ${resident(cesid)} now`);
    // Reading again, each finds that it was dropped, and the truth.
    for (const socket of lazy) {
        socket.ws._socket.resume();
        const resync = await socket.next('resync', isType('resync'), { seconds: 30 });
        assert.ok(resync.data.dropped > 0);
        await socket.next('a snapshot', isType('snapshot'),
            { from: socket.messages.indexOf(resync), seconds: 30 });
    }
    await Promise.all(crowd.map((socket) => socket.close()));
});

test('with every place taken, one more is refused before the upgrade and HTTP goes on', async () => {
    const other = await open({ websocket: { clients: 5 } });
    const sockets = await Promise.all(Array.from({ length: 5 }, () => other.socket()));
    const refused = await other.socket().catch((error) => error);
    assert.ok(refused.answer, 'it was upgraded');
    expectProblem(refused.answer, 503, 'too_many_clients');
    const begin = performance.now();
    await Promise.all(Array.from({ length: 50 }, () => other.get('/nodes')));
    assert.ok(performance.now() - begin < 3000 * slow);
    await sockets[0].close();
    const next = await until('a place', () => other.socket().catch(() => null));
    await Promise.all([next, ...sockets.slice(1)].map((socket) => socket.close()));
    await other.stop();
});

test('a frame that announces 2 GiB costs no memory', async () => {
    const memory = resident(cesid);
    const liars = await Promise.all(Array.from({ length: 10 }, () => Raw.open(cesid)));
    for (const raw of liars)
        raw.socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]));
    await cesid.get('/nodes');
    if (slow === 1)
        assert.ok(resident(cesid) < memory + 20, `${memory} MiB before, ${resident(cesid)} now`);
    const chunk = Buffer.alloc(65536, 120);
    for (const raw of liars) {
        for (let i = 0; i < 64 && !raw.socket.destroyed; i++)
            raw.socket.write(chunk);
    }
    await within('the end of them', Promise.all(liars.map((raw) => raw.ended)), 20);
    if (slow === 1)
        assert.ok(resident(cesid) < memory + 40, `${memory} MiB before, ${resident(cesid)} now`);
    const socket = await cesid.socket();
    await socket.close();
});

test('an ended session closes its sockets', async () => {
    const { token } = expectOk(await cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword }, { token: null }));
    const [ended, kept] = [await cesid.socket({ token }), await cesid.socket()];
    await ended.subscribe('fleet');
    expectOk(await cesid.post('/auth/logout', undefined, { token }), 204);
    assert.equal((await within('the close', ended.closed)).code, 1008);
    kept.send({ type: 'ping' });
    await kept.next('pong', isType('pong'));
    await kept.close();
});

test('R3.3 a binding counts at once for what is open, WebSocket and stream', async () => {
    const login = { username: 'watcher', password: 'a long enough one' };
    expectOk(await cesid.post('/users', login), 201);
    const bind = async (role, environment) => expectOk(await cesid.post('/bindings',
        { user: 'watcher', role, environment }), 201);
    await bind('viewer', 'elsewhere');
    let binding = await bind('viewer', 'test');
    const { token } = expectOk(await cesid.post('/auth/login', login, { token: null }));
    const socket = await cesid.socket({ token });
    await socket.subscribe('fleet');
    const admin = cesid.token;
    cesid.token = token;
    const stream = cesid.follow('/events?topics=fleet');
    cesid.token = admin;
    const streamed = (type) => events(stream.stdout).filter(isType(type)).length;
    await until('a snapshot', () => streamed('snapshot') === 1);
    expectOk(await restart(cesid));
    const runs = (m) => m.type === 'process' && m.data.state === 'RUNNING';
    await socket.next('the restart', runs);
    await until('the same', () => events(stream.stdout).some(runs));

    const witness = await cesid.socket();
    await witness.subscribe('fleet');
    for (let round = 0; round < 3; round++) {
        if (round > 0) {
            const from = socket.mark;
            binding = await bind('viewer', 'test');
            await socket.next('the truth', isType('snapshot'), { from });
        }
        expectOk(await cesid.api('DELETE', `/bindings/${binding.id}`), 204);
        const [mark, seen] = [socket.mark, witness.mark];
        const before = streamed('process');
        expectOk(await restart(cesid));
        await witness.next('the restart', runs, { from: seen });
        socket.send({ type: 'ping' });
        await socket.next('pong', isType('pong'), { from: mark });
        assert.deepEqual(socket.messages.slice(mark).filter(isType('process')), []);
        assert.equal(streamed('process'), before);
    }
    assert.equal(socket.messages.filter(isType('snapshot')).at(-1).data.nodes.length, 0);
    expectOk(await cesid.api('DELETE', '/users/watcher'), 204);
    assert.equal((await within('the close', socket.closed)).code, 1008);
    await within('the end of the stream', stream.exited);
    await witness.close();
});

test('a cookie opens a socket for the own origin only', async () => {
    const answer = await cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword, cookie: true }, { token: null });
    const cookie = [answer.headers['set-cookie']].flat()[0].split(';')[0];
    const refused = await cesid.socket({ token: null,
        headers: { Cookie: cookie, Origin: 'https://evil.example' } }).catch((error) => error);
    expectProblem(refused.answer, 403, 'origin_denied');
    const own = await cesid.socket({ token: null,
        headers: { Cookie: cookie, Origin: `http://127.0.0.1:${cesid.port}` } });
    await own.subscribe('fleet');
    await own.close();
    const nobody = await cesid.socket({ token: null }).catch((error) => error);
    expectProblem(nobody.answer, 401, 'unauthenticated');
});

test('messages in pieces, with pings between them, are messages', async () => {
    const raw = await Raw.open(cesid);
    raw.frame(1, '{"ty', false);
    raw.frame(9, 'knock');
    raw.frame(0, 'pe": "pi', false);
    raw.frame(0, 'ng"}');
    await until('pong', () => raw.received.includes('knock') && raw.received.includes('"pong"'));
    raw.frame(8, Buffer.from([3, 232]));
    await within('the end', raw.ended);
    assert.equal(raw.closeCode, 1000);
});

test('each wrong frame has its close code', async () => {
    const cases = [
        [1002, (raw) => raw.frame(0, 'continues nothing')],
        [1002, (raw) => raw.frame(3, 'reserved')],
        [1002, (raw) => raw.frame(9, 'x'.repeat(126))],
        [1002, (raw) => raw.frame(9, 'x', false)],
        [1003, (raw) => raw.frame(2, 'binary')],
        [1007, (raw) => raw.frame(1, Buffer.from([0xff, 0xfe]))],
        [1007, (raw) => raw.frame(8, Buffer.from([3, 232, 0xff]))],
        [1002, (raw) => raw.frame(8, Buffer.from([3, 237]))],
        [1002, (raw) => raw.frame(8, 'x')],
        [1000, (raw) => raw.frame(8, '')],
    ];
    await Promise.all(cases.map(async ([code, say], i) => {
        const raw = await Raw.open(cesid);
        say(raw);
        await within(`the end of case ${i}`, raw.ended);
        assert.equal(raw.closeCode, code, `case ${i}`);
    }));
});

test('R8.2 garbage, breaking off and silence leave nothing behind', async () => {
    const other = await open({ websocket: { ping_interval: 0.3, idle_timeout: 1.5 } });
    const before = files(other);
    let busy = true;
    const shaker = (async () => {
        while (busy)
            await restart(other);
    })();
    for (let round = 0; round < 3; round++) {
        const crowd = await Promise.all(Array.from({ length: 24 }, () => Raw.open(other)));
        crowd.forEach((raw, i) => {
            raw.frame(1, '{"type":"subscribe","topics":["fleet","operations"]}');
            if (i % 4 === 0)
                raw.socket.write(randomBytes(5000));
            else if (i % 4 === 1)
                raw.socket.resetAndDestroy?.() ?? raw.socket.destroy();
            else if (i % 4 === 2)
                raw.socket.pause(); // half-open: takes nothing and says nothing
            else
                raw.socket.end();
        });
        await Promise.all(crowd.filter((raw, i) => i % 4 === 1).map((raw) => raw.ended));
    }
    busy = false;
    await shaker;
    await until('all is given back', () => files(other) <= before + 4, 20);
    await other.get('/nodes');
    await other.stop();
});

// The events so far: [{ id, type, data }].
function events(text) {
    return text.split('\n\n').slice(0, -1).map((block) => {
        const id = /^id: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        return data && { id, ...JSON.parse(data) };
    }).filter(Boolean);
}

test('a stream that comes back gets what it missed, or is told that it cannot', async () => {
    const first = cesid.follow('/events?topics=fleet');
    const snapshot = await until('a snapshot', () => events(first.stdout)
        .find(isType('snapshot')));
    assert.match(snapshot.id, /^\d+-\d+$/);
    first.kill();
    await first.exited;
    expectOk(await restart(cesid));
    const witness = await cesid.node('one');

    const again = cesid.follow('/events?topics=fleet', '-H', `Last-Event-ID: ${snapshot.id}`);
    await until('what was missed', () => events(again.stdout).some((event) =>
        event.data.revision === witness.revision));
    const story = events(again.stdout);
    assert.ok(!story.some((event) => ['resync', 'snapshot'].includes(event.type)));
    const states = story.filter(isType('process')).map((event) => event.data.state);
    assert.equal(states.at(-1), 'RUNNING');
    assert.ok(states.length >= 1, states.join());
    story.forEach((event, i) => assert.equal(event.seq, i + 1));
    again.kill();
    await again.exited;

    for (const id of ['1-1', 'nonsense', `${snapshot.id.split('-')[0]}-999999999`]) {
        const lost = cesid.follow('/events?topics=fleet', '-H', `Last-Event-ID: ${id}`);
        await until('a snapshot', () => events(lost.stdout).some(isType('snapshot')));
        const types = events(lost.stdout).map((event) => event.type);
        assert.ok(types.indexOf('resync') >= 0 &&
            types.indexOf('resync') < types.indexOf('snapshot'), types.join());
        lost.kill();
        await lost.exited;
    }
});
