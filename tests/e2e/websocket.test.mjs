// The WebSocket: what comes, in which order, and how it ends.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { sleep, until, within } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const isType = (type) => (message) => message.type === type;
const isProcess = (id, state) => (message) => message.type === 'process' &&
    message.data.id === id && message.data.state === state;
const act = (node, process, action) =>
    cesid.post(`/nodes/${node}/processes/${process}/${action}`);

test('hello comes first, a snapshot after each subscribe of fleet', async () => {
    const socket = await cesid.socket();
    const hello = await socket.next('hello', isType('hello'));
    assert.equal(socket.messages.indexOf(hello), 0);
    assert.equal(hello.seq, 1);
    assert.deepEqual(Object.keys(hello).sort(), ['at', 'data', 'seq', 'type']);
    assert.ok(hello.data.client);
    assert.equal(typeof hello.data.version, 'string');
    assert.equal(typeof hello.data.heartbeat, 'number');
    assert.match(hello.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

    const snapshot = await socket.subscribe('fleet');
    const { totals, nodes } = snapshot.data;
    assert.deepEqual(totals.nodes, { up: 3, down: 0, connecting: 0, disabled: 0 });
    assert.equal(totals.processes.total, 18);
    assert.deepEqual(nodes.map((node) => node.name).sort(), ['alpha', 'beta', 'gamma']);
    assert.equal(nodes.find((node) => node.name === 'alpha').state, 'up');
    await socket.subscribe('fleet');
    await socket.close();
});

test('a change of a process arrives once, with what was before and the revision', async () => {
    const socket = await cesid.socket();
    await socket.subscribe('fleet');
    const from = socket.mark;
    expectOk(await act('gamma', 'workers:pack_01', 'stop'));
    const message = await socket.next('the stop', isProcess('workers:pack_01', 'STOPPED'), { from });
    assert.equal(message.data.node, 'gamma');
    assert.equal(message.data.environment, 'production');
    assert.equal(message.data.pid, 0);
    assert.ok(message.data.previous);
    assert.equal(message.data.revision, (await cesid.node('gamma')).revision);
    const node = await socket.next('the counts', (m) => m.type === 'node' &&
        m.data.name === 'gamma' && m.data.counts.stopped === 1, { from });
    assert.ok(node.data.revision >= message.data.revision);
    expectOk(await act('gamma', 'workers:pack_01', 'start'));
    await socket.next('the start', isProcess('workers:pack_01', 'RUNNING'), { from });
    // Nothing more comes while nothing changes.
    await until('quiet', async () => {
        const mark = socket.mark;
        await sleep(1.5);
        return socket.mark === mark;
    }, 15);
    const stops = socket.messages.slice(from)
        .filter(isProcess('workers:pack_01', 'STOPPED'));
    assert.equal(stops.length, 1);
    await socket.close();
});

test('a topic brings its own messages and no others', async () => {
    const socket = await cesid.socket();
    await socket.subscribe('node:beta');
    expectOk(await act('gamma', 'lone', 'restart'));
    expectOk(await act('beta', 'hup', 'restart'));
    await socket.next('the restart', isProcess('hup:hup', 'RUNNING'));
    assert.ok(socket.messages.filter(isType('process'))
        .every((message) => message.data.node === 'beta'));
    socket.send({ type: 'unsubscribe', topics: ['node:beta'] });
    socket.send({ type: 'ping' });
    await socket.next('pong', isType('pong'));
    const from = socket.mark;
    expectOk(await act('beta', 'hup', 'restart'));
    await sleep(1.2);
    assert.equal(socket.mark, from);
    await socket.close();
});

test('operations are told to those who asked', async () => {
    const socket = await cesid.socket();
    await socket.subscribe('operations');
    const operation = expectOk(await act('gamma', 'lone', 'restart'));
    const message = await socket.next('the end of it', (m) => m.type === 'operation' &&
        m.data.id === operation.id && m.data.state === 'done');
    assert.equal(message.data.succeeded, 1);
    await socket.close();
});

test('one bad topic is an error and does not void the others', async () => {
    const socket = await cesid.socket();
    for (const topic of ['nonsense', 'node:', 'node:nowhere', 'log:alpha', 'log:a:b:c:stdlog',
        'log:gamma:lone:nothing:stdout']) {
        const from = socket.mark;
        socket.send({ type: 'subscribe', topics: [topic, 'node:gamma'] });
        const { data } = await socket.next(`the error of ${topic}`, isType('error'), { from });
        assert.ok(['validation_failed', 'not_found', 'bad_request'].includes(data.code), data.code);
        assert.equal(data.type, `urn:cesid:error:${data.code}`);
        assert.ok(data.status >= 400);
    }
    const from = socket.mark;
    expectOk(await act('gamma', 'lone', 'restart'));
    await socket.next('the good topic', isProcess('lone:lone', 'RUNNING'), { from });
    await socket.close();
});

test('R7.1 what is no message is an error, not an end', async () => {
    const socket = await cesid.socket();
    for (const text of ['not json', '[]', '{}', '{"type": "dance"}', '{"type": "subscribe"}',
        '{"type": "subscribe", "topics": "fleet"}', '{"type": "ping", "type": "ping"}',
        '{"type": "subscribe", "topics": [1]}', `${'['.repeat(200)}${']'.repeat(200)}`]) {
        const from = socket.mark;
        socket.send(text);
        const { data } = await socket.next(`an error for ${text.slice(0, 50)}`, isType('error'),
            { from });
        assert.ok(data.code && data.title && data.detail, JSON.stringify(data));
    }
    socket.send({ type: 'ping' });
    await socket.next('pong', isType('pong'));
    await socket.close();
});

test('a frame that is too big, binary or too many of them end the connection', async () => {
    const big = await cesid.socket();
    big.send(`{"type": "ping", "x": "${'x'.repeat(70000)}"}`);
    assert.equal((await within('the close', big.closed)).code, 1009);

    const flood = await cesid.socket();
    for (let i = 0; i < 200; i++)
        flood.send({ type: 'ping' });
    assert.equal((await within('the close', flood.closed)).code, 1008);

    const binary = await cesid.socket();
    binary.ws.send(Buffer.from([1, 2, 3]));
    const { code } = await within('the close', binary.closed);
    assert.ok([1003, 1007, 1008].includes(code), String(code));
    await cesid.get('/nodes');
});

test('a heartbeat that is missed ends the connection, one that is kept does not', async () => {
    const other = new Cesid({
        nodes: [nodeConfig(fleet.gamma)],
        config: { websocket: { ping_interval: 0.5, idle_timeout: 5.0 } },
    });
    await other.start();
    await other.login();
    const alive = await other.socket();
    const dead = await other.socket();
    dead.ws.pong = () => {};
    // ws answers pings by itself; this one is made deaf.
    dead.ws._receiver.removeAllListeners('ping');
    let pings = 0;
    alive.ws.on('ping', () => { pings++; });
    await within('the end of the deaf one', dead.closed, 15);
    await until('pings', () => pings >= 4);
    assert.equal(alive.ws.readyState, 1);
    await alive.close();
    await other.stop();
});

test('R1.4 every client has the same messages in the same order', async () => {
    const sockets = await Promise.all(Array.from({ length: 10 }, () => cesid.socket()));
    await Promise.all(sockets.map((socket) => socket.subscribe('fleet')));
    const marks = sockets.map((socket) => socket.mark);
    // What was before may be in one's messages and not in another's.
    const known = {};
    for (const { name, revision } of (await cesid.get('/nodes')).items)
        known[name] = revision;
    for (let i = 0; i < 3; i++) {
        await Promise.all([act('gamma', 'lone', 'restart'),
            act('gamma', 'workers:crunch_00', 'restart'), act('beta', 'hup', 'restart')]);
    }
    expectOk(await act('gamma', 'lone', 'stop'));
    await Promise.all(sockets.map((socket, i) =>
        socket.next('the last message', isProcess('lone:lone', 'STOPPED'), { from: marks[i] })));
    const story = (socket, i) => socket.messages.slice(marks[i])
        .filter((m) => (m.type === 'process' || m.type === 'node') &&
            m.data.revision > known[m.data.node ?? m.data.name])
        .map((m) => `${m.type} ${m.data.node ?? m.data.name} ${m.data.revision} ${m.data.id ?? ''}`);
    const shortest = Math.min(...sockets.map((socket, i) => story(socket, i).length));
    assert.ok(shortest >= 10, String(shortest));
    const first = story(sockets[0], 0).slice(0, shortest);
    sockets.forEach((socket, i) =>
        assert.deepEqual(story(socket, i).slice(0, shortest), first));
    // Within a node revisions never fall.
    const last = {};
    for (const line of first) {
        const [, node, revision] = line.split(' ');
        assert.ok(Number(revision) >= (last[node] ?? 0), line);
        last[node] = Number(revision);
    }
    expectOk(await act('gamma', 'lone', 'start'));
    await Promise.all(sockets.map((socket) => socket.close()));
});

test('R1.1 R1.2 R1.3 clients come, go and break off in the middle of broadcasts', async () => {
    let busy = true;
    const shaker = (async () => {
        while (busy)
            await act('gamma', 'lone', 'restart');
    })();
    const steady = await cesid.socket();
    await steady.subscribe('fleet', 'operations');
    for (let round = 0; round < 6; round++) {
        const crowd = await Promise.all(Array.from({ length: 15 }, () => cesid.socket()));
        await Promise.all(crowd.map((socket) => socket.subscribe('fleet')));
        await Promise.all(crowd.map((socket, i) => {
            if (i % 3 === 0)
                return socket.close();
            if (i % 3 === 1)
                socket.ws.terminate();
            else
                socket.ws._socket.resetAndDestroy?.() ?? socket.ws.terminate();
            return socket.closed;
        }));
    }
    busy = false;
    await shaker;
    const from = steady.mark;
    steady.send({ type: 'ping' });
    await steady.next('pong', isType('pong'), { from });
    await steady.close();
});

test('R1.5 R8.2 closed connections leave nothing behind', async () => {
    const { readdirSync, readFileSync } = await import('node:fs');
    const figures = () => ({
        files: readdirSync(`/proc/${cesid.child.pid}/fd`).length,
        threads: Number(/^Threads:\s+(\d+)/m.exec(
            readFileSync(`/proc/${cesid.child.pid}/status`, 'utf8'))[1]),
    });
    const round = async () => {
        const crowd = await Promise.all(Array.from({ length: 20 }, () => cesid.socket()));
        crowd.forEach((socket, i) => (i % 2 ? socket.ws.terminate() : socket.ws.close()));
        await Promise.all(crowd.map((socket) => socket.closed));
    };
    await round();
    await sleep(0.5);
    const before = figures();
    for (let i = 0; i < 5; i++)
        await round();
    await until('all is given back', () => figures().files <= before.files + 3 &&
        figures().threads <= before.threads + 1, 15);
});

test('a client that does not read is told to look anew, and holds up nobody', async () => {
    const other = new Cesid({
        nodes: [nodeConfig(fleet.gamma)],
        config: { websocket: { queue: 4 }, refresh: { interval: 0.2 } },
    });
    await other.start();
    await other.login();
    const steady = await other.socket();
    await steady.subscribe('fleet');
    const lazy = await other.socket();
    await lazy.subscribe('fleet');
    lazy.ws._socket.pause();
    let resync = null;
    for (let i = 0; i < 6; i++)
        expectOk(await other.post('/nodes/gamma/processes/lone/restart'));
    await steady.next('a restart', isProcess('lone:lone', 'RUNNING'));
    lazy.ws._socket.resume();
    resync = await Promise.race([
        lazy.next('resync', isType('resync'), { seconds: 3 }).catch(() => null), sleep(3)]);
    // The kernel's buffers may have held it all; then nothing was dropped and seq says so.
    if (resync) {
        assert.ok(resync.data.dropped >= 1);
        await lazy.next('a fresh snapshot', isType('snapshot'),
            { from: lazy.messages.indexOf(resync) });
    }
    assert.equal(lazy.fault, undefined);
    await lazy.close();
    await steady.close();
    await other.stop();
});

test('a handshake that is none, and one client too many, are told so', async () => {
    expectProblem(await cesid.api('GET', '/ws'), 400, 'bad_request');
    const other = new Cesid({ config: { websocket: { clients: 2 } } });
    await other.start();
    await other.login();
    const sockets = [await other.socket(), await other.socket()];
    const third = await other.socket().catch((error) => error);
    if (third.answer)
        expectProblem(third.answer, 503, 'too_many_clients');
    else
        assert.equal((await within('the close', third.closed)).code, 1013);
    await other.get('/nodes');
    await sockets[0].close();
    const next = await until('a place', () => other.socket().catch(() => null), 10);
    await next.close();
    await sockets[1].close();
    await other.stop();
});
