// Every error of the one table (src/base/error.c) is met by a caller of the API, in its shape, with
// its status. A code that is new there and not here fails the last test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Wire } from './lib/raw.mjs';
import { until, within } from './lib/wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

// What no caller can bring about at will: the reason, and where it is tested instead.
const unreachable = {
    store_timeout: 'a statement that takes too long: tests/unit/test_store.c',
    internal: 'only a mistake of our own; its answer: tests/unit/test_problem.c',
    cancelled: 'is a result in an operation, never an answer; tests/e2e/faults.test.mjs',
};

const all = new Map([...readFileSync(join(root, 'src/base/error.c'), 'utf8')
    .matchAll(/(?:ROW|RETRY)\(CESID_E_\w+, "(\w+)", (\d+),/g)].map(([, code, status]) =>
    [code, Number(status)]));
const met = new Set();

// The answer is that problem, with the status of the table.
function meet(answer, code) {
    met.add(code);
    return expectProblem(answer, all.get(code), code);
}

let fakes, cesid;
before(async () => {
    fakes = await new Fakes({ nodes: 5, processes: 3 }).start();
    cesid = new Cesid({
        nodes: [...fakes.configs(), { name: 'nobody', environment: 'test',
            url: 'http://127.0.0.1:1/RPC2' }],
        config: {
            server: { header_timeout: 1, request_timeout: 2, max_body: 4096, streams: 1 },
            auth: { login_attempts: 5, session_ttl: 600 },
            store: { pool: 1, acquire_timeout: 0.5, query_timeout: 1.5, transaction_timeout: 2.0 },
            timeouts: { connect: 1.0, refresh: 1.0, start: 2.0, stop: 2.0, restart: 2.0, config: 1.5,
                batch: 3.0 },
            breaker: { failures: 3, open_min: 60.0, open_max: 60.0 },
            refresh: { interval: 1.0 },
        },
    });
    await cesid.start();
    await cesid.login();
    for (let i = 0; i < 5; i++)
        await cesid.nodeIs(fakes.name(i), 'up');
    await cesid.nodeIs('nobody', 'down');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

const action = (i, what, process = 'p0000:p0000') =>
    cesid.post(`/nodes/${fakes.name(i)}/processes/${process}/${what}?force=true`);
const login = (body, options) => cesid.api('POST', '/auth/login', { token: null, body, ...options });
const json = { 'Content-Type': 'application/json' };

test('R7.2 codes of a request that is wrong', async () => {
    meet(await cesid.api('GET', '/nodes/%00'), 'bad_request');
    meet(await login('{', { headers: json }), 'invalid_json');
    meet(await cesid.api('GET', '/nodes', { headers: { X: 'y'.repeat(15000), Z: 'y'.repeat(5000) } }),
        'headers_too_large');
    meet(await cesid.api('GET', '/nothing'), 'not_found');
    meet(await cesid.api('PUT', '/nodes'), 'method_not_allowed');
    meet(await login('x'.repeat(5000), { headers: json }), 'body_too_large');
    meet(await cesid.api('GET', `/nodes?q=${'x'.repeat(9000)}`), 'uri_too_long');
    meet(await login('x'), 'unsupported_media_type');
    meet(await login({}), 'validation_failed');
    const wire = new Wire(cesid).write('POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n' +
        'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{');
    meet((await wire.end())[0], 'request_timeout');
});

test('R7.2 codes of who may not', async () => {
    const token = null;
    meet(await cesid.api('GET', '/nodes', { token }), 'unauthenticated');
    meet(await login({ username: 'admin', password: 'wrong' }), 'invalid_credentials');
    meet(await cesid.request('GET', '/metrics', { token,
        headers: { 'X-Forwarded-For': '192.0.2.1' } }), 'forbidden');
    const answer = await login({ username: 'admin', password: cesid.adminPassword, cookie: true });
    const { csrf_token: csrf } = expectOk(answer);
    const headers = { Cookie: answer.headers['set-cookie'][0].split(';')[0] };
    meet(await cesid.post('/system/reload', undefined, { token, headers }), 'csrf');
    meet(await cesid.post('/system/reload', undefined, { token, headers: { ...headers,
        'X-CSRF-Token': csrf, Origin: 'http://evil.example' } }), 'origin_denied');
    const many = await Promise.all(Array.from({ length: 60 }, (unused, i) =>
        login({ username: `who-${i}`, password: 'wrong' })));
    meet(many.find((each) => each.status === 429 && each.json.code === 'rate_limited') ?? many[0],
        'rate_limited');
    for (let i = 0; i < 5; i++)
        await login({ username: 'guessed', password: 'wrong' });
    meet(await login({ username: 'guessed', password: 'wrong' }), 'locked_out');
});

test('R7.2 codes of states that do not fit', async () => {
    meet(await action(0, 'start'), 'already_started');
    await fakes.order('state', '0', 'p0001:p0001', 'STOPPED');
    await cesid.processIs(fakes.name(0), 'p0001:p0001', 'STOPPED');
    meet(await action(0, 'stop', 'p0001:p0001'), 'not_running');
    meet(await cesid.api('DELETE', `/nodes/${fakes.name(0)}`), 'read_only_node');
    const node = { name: 'twice', environment: 'test', url: 'http://127.0.0.1:1/RPC2',
        enabled: false };
    expectOk(await cesid.post('/nodes', node), 201);
    meet(await cesid.post('/nodes', node), 'conflict');
});

test('R7.2 codes of a node that fails', async () => {
    const refusing = createServer((socket) => socket.on('error', () => {}).end(
        'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'));
    await new Promise((done) => refusing.listen(0, '127.0.0.1', done));
    expectOk(await cesid.post('/nodes', { name: 'locked', environment: 'test',
        url: `http://127.0.0.1:${refusing.address().port}/RPC2` }), 201);
    await cesid.nodeIs('locked', 'down');
    meet(await cesid.post('/nodes/locked/processes/x/start?force=true'), 'node_unauthorized');
    refusing.close();
    meet(await cesid.post('/nodes/nobody/processes/x/start?force=true'), 'node_unreachable');
    await until('the breaker is open', async () =>
        (await cesid.node('nobody')).breaker.state === 'open', 20);
    meet(await cesid.post('/nodes/nobody/processes/x/start'), 'node_circuit_open');
    await fakes.fault('1', 'rpc', '30', 'method=supervisor.stop*');
    const fault = meet(await action(1, 'stop'), 'node_fault').fault;
    assert.equal(fault.code, 30);
    await fakes.fault('2', 'garbage');
    meet(await action(2, 'stop'), 'node_protocol');
    await fakes.fault('3', 'silent');
    meet(await cesid.post(`/nodes/${fakes.name(3)}/reread`), 'node_timeout');
    await fakes.order('state', '4', '*', 'STOPPED');
    await cesid.processIs(fakes.name(4), 'p0000:p0000', 'STOPPED');
    await fakes.order('set', '4', 'start_delay=60');
    meet(await action(4, 'start'), 'operation_timeout');
});

test('R7.2 codes of too many, of the end, and of a session that is over', async () => {
    const events = cesid.follow('/events?topics=fleet');
    await until('the one stream', () => events.stdout !== '');
    meet(await cesid.api('GET', '/events?topics=fleet'), 'too_many_clients');
    events.kill();

    const other = new Cesid({ nodes: [fakes.configs()[4]], config: { timeouts: { shutdown: 10.0 } } });
    await other.start();
    await other.login();
    const { token } = expectOk(await other.post('/tokens',
        { name: 'short', expires_at: new Date(Date.now() + 3000).toISOString() }), 201);
    const over = await until('its time is over', async () => {
        const answer = await other.api('GET', '/auth/me', { token });
        return answer.status !== 200 && answer;
    });
    meet(over, 'session_expired');
    // Who comes between the signal and the end of what was begun is told so.
    const agent = new Agent({ keepAlive: true });
    expectOk(await other.api('GET', '/nodes', { agent }));
    expectOk(await other.post(`/nodes/${fakes.name(4)}/start-all`), 202);
    other.signal('SIGTERM');
    meet(await until('a refusal', async () => {
        const answer = await other.api('GET', '/nodes', { agent });
        return answer.status !== 200 && answer;
    }), 'shutting_down');
    agent.destroy();
    await fakes.order('state', '4', '*', 'RUNNING'); // that is its end
    await other.stop();
});

// Somebody else's write lock on the database file, for as long as it takes.
async function lockedStore(during) {
    const holder = spawn('python3', ['-c', 'import sqlite3, sys\n' +
        'db = sqlite3.connect(sys.argv[1], isolation_level=None)\n' +
        'db.execute("BEGIN EXCLUSIVE")\nprint("locked", flush=True)\nsys.stdin.read()\n',
        join(cesid.state, 'cesid.db')]);
    try {
        await within('a lock', new Promise((done) => holder.stdout.once('data', done)));
        await during();
    } finally {
        holder.stdin.end();
    }
}

test('R5.2 R7.2 codes of a store that does not answer', async () => {
    await lockedStore(async () => {
        const answers = await Promise.all(Array.from({ length: 6 }, () =>
            login({ username: 'admin', password: cesid.adminPassword })));
        meet(answers.find((each) => each.json.code === 'pool_exhausted') ?? answers[0],
            'pool_exhausted');
        meet(await until('the store is known to be away', async () => {
            const answer = await login({ username: 'admin', password: cesid.adminPassword });
            return answer.json.code === 'store_unavailable' && answer;
        }), 'store_unavailable');
    });
    await until('it is back', async () =>
        (await login({ username: 'admin', password: cesid.adminPassword })).status === 200);
});

test('R7.2 every code of the table is reached, or has a reason', () => {
    const missing = [...all.keys()].filter((code) => !met.has(code) && !(code in unreachable));
    assert.deepEqual(missing, []);
    for (const code of Object.keys(unreachable))
        assert.ok(all.has(code) && !met.has(code), code);
    // The contract's table of them is this one.
    assert.equal(all.size, 36);
});
