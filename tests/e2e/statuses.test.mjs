// Every status of a failure that the description has for a route is met on that route, but for 500,
// which would be a mistake of our own. What succeeds is in contract.test.mjs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Mariadb } from './lib/mariadb.mjs';
import { Description } from './lib/openapi.mjs';
import { Wire } from './lib/raw.mjs';
import { until, within } from './lib/wait.mjs';

const maxBody = 4096;
const met = new Set();
const password = 'of no use to anybody';
let fakes, cesid, api;

before(async () => {
    fakes = await new Fakes({ nodes: 4, processes: 20 }).start();
    const nodes = fakes.configs();
    nodes[3].enabled = false;
    cesid = new Cesid({ nodes, config: {
        server: { header_timeout: 4, request_timeout: 3, max_body: maxBody },
        timeouts: { connect: 1.0, refresh: 1.0, start: 1.0, stop: 1.0, restart: 1.0, signal: 1.0,
            log: 1.0, config: 1.0, batch: 2.0, shutdown: 10.0 },
        breaker: { failures: 1000 }, auth: { login_attempts: 5 },
    } });
    await cesid.start();
    await cesid.login();
    for (let i = 0; i < 3; i++)
        await cesid.nodeIs(fakes.name(i), 'up');
    api = await Description.of(cesid);
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

function fill({ path }, values = {}) {
    const usual = { node: fakes.name(0), process: 'p0000:p0000', environment: 'test',
        operation: 'nothing', id: 'nothing', username: 'nothing', name: 'nothing', ...values };
    return path.replaceAll(/{(\w+)}/g, (all, name) => encodeURIComponent(usual[name]));
}

function meet(operation, answer, status) {
    const what = `${operation.method} ${operation.path}: ${answer.status} ${answer.text}`;
    assert.equal(answer.status, status, what);
    api.check(operation, answer);
    if (answer.text)
        expectProblem(answer, status, answer.json.code);
    met.add(`${operation.method} ${operation.path} ${status}`);
}

const ask = (operation, { query = '', values, ...options } = {}) =>
    cesid.request(operation.method, fill(operation, values) + query, options);
const described = (status) => api.operations.filter((each) => each.responses[status]);
const json = { 'Content-Type': 'application/json' };

// One after the other in a few rows.
async function each(operations, work) {
    const rest = [...operations];
    await Promise.all(Array.from({ length: 12 }, async () => {
        while (rest.length > 0)
            await work(rest.shift());
    }));
}

test('R7.2 what is malformed, too long or too large, on every route', async () => {
    await each(described(400), async (operation) =>
        meet(operation, await ask(operation, { query: '?%zz=1' }), 400));
    await each(described(414), async (operation) =>
        meet(operation, await ask(operation, { query: `?q=${'x'.repeat(9000)}` }), 414));
    await each(described(431), async (operation) => meet(operation, await ask(operation, {
        headers: { A: 'x'.repeat(14000), B: 'x'.repeat(14000) } }), 431));
    await each(described(422), async (operation) =>
        meet(operation, await ask(operation, { query: '?nonsense=1' }), 422));
    await each(described(413), async (operation) => meet(operation, await ask(operation, {
        body: 'x'.repeat(maxBody + 1), headers: json }), 413));
    await each(described(415), async (operation) => meet(operation, await ask(operation, {
        body: 'x', headers: { 'Content-Type': 'text/plain' } }), 415));
});

test('R7.2 a body that does not come, on every route that takes one', async () => {
    await Promise.all(described(408).map(async (operation) => {
        const wire = new Wire(cesid).write(`${operation.method} ${fill(operation)} HTTP/1.1\r\n` +
            `Host: x\r\nAuthorization: Bearer ${cesid.token}\r\nContent-Type: application/json\r\n` +
            'Content-Length: 10\r\n\r\n{');
        meet(operation, (await wire.end())[0], 408);
    }));
});

test('R7.2 who is nobody and what is not there, on every route', async () => {
    await each(described(401), async (operation) => {
        const body = /login$/.test(operation.path) ? { username: 'x', password: 'x' } : undefined;
        const answer = await ask(operation, { token: null, body });
        if (operation.path !== '/metrics')
            meet(operation, answer, 401);
    });
    await each(described(404), async (operation) => {
        const values = { node: 'nothing', environment: 'nothing' };
        const body = operation.method === 'PUT' && /roles/.test(operation.path)
            ? { permissions: ['node:read'] } : operation.method === 'PATCH' ? {} : undefined;
        meet(operation, await ask(operation, { values, body }), 404);
    });
});

const bodies = { signal: { signal: 'HUP' }, stdin: { data: 'x' } };
const bodyOf = ({ path }) => bodies[path.split('/').at(-1)];
const isNode = ({ path }) => path.includes('{node}');

// A session of a new user with one role everywhere.
async function sessionOf(username, permissions) {
    expectOk(await cesid.post('/users', { username, password }), 201);
    expectOk(await cesid.post('/roles', { name: username, permissions }), 201);
    expectOk(await cesid.post('/bindings', { user: username, role: username, environment: '*' }),
        201);
    return expectOk(await cesid.post('/auth/login', { username, password }, { token: null })).token;
}

test('R7.2 who may not, on every route', async () => {
    const stranger = await sessionOf('stranger', []);
    const looker = await sessionOf('looker', ['node:read']);
    const answer = await cesid.post('/auth/login', { username: 'looker', password, cookie: true },
        { token: null });
    const headers = { Cookie: answer.headers['set-cookie'][0].split(';')[0],
        Origin: 'http://elsewhere.example' };
    await each(described(403), async (operation) => {
        if (operation.path === '/metrics')
            meet(operation, await ask(operation, { headers: { Via: '1.1 proxy' } }), 403);
        // A node that one may not read does not exist, and who may read one may refresh it.
        else if (operation['x-permission'] &&
            !(isNode(operation) && operation['x-permission'] === 'node:read'))
            meet(operation, await ask(operation, { token: isNode(operation) ? looker : stranger }),
                403);
        else
            meet(operation, await ask(operation, { token: null, headers,
                body: /login$/.test(operation.path) ? { username: 'x', password, cookie: true }
                    : undefined }), 403);
    });
});

test('R7.2 what the state of things forbids, on every route', async () => {
    expectOk(await cesid.post('/users', { username: 'twin', password }), 201);
    expectOk(await cesid.post('/roles', { name: 'twin', permissions: [] }), 201);
    const binding = { user: 'twin', role: 'twin', environment: '*' };
    expectOk(await cesid.post('/bindings', binding), 201);
    const { items } = await cesid.get('/bindings');
    const node = { name: 'twin', environment: 'test', url: 'http://127.0.0.1:1/RPC2' };
    expectOk(await cesid.post('/nodes', node), 201);
    for (let i = 0; i < 100; i++)
        await cesid.post('/tokens', { name: 'one of many' });
    const special = {
        'POST /api/v1/nodes': { body: node },
        'PATCH /api/v1/nodes/{node}': { body: { environment: 'other' } },
        'DELETE /api/v1/nodes/{node}': {},
        'POST /api/v1/users': { body: { username: 'twin', password } },
        'PATCH /api/v1/users/{username}': { values: { username: 'admin' }, body: { active: false } },
        'DELETE /api/v1/users/{username}': { values: { username: 'admin' } },
        'POST /api/v1/roles': { body: { name: 'twin', permissions: [] } },
        'PUT /api/v1/roles/{name}': { values: { name: 'viewer' }, body: { permissions: [] } },
        'DELETE /api/v1/roles/{name}': { values: { name: 'twin' } },
        'POST /api/v1/bindings': { body: binding },
        'DELETE /api/v1/bindings/{id}': {
            values: { id: items.find(({ user }) => user === 'admin').id } },
        'POST /api/v1/tokens': { body: { name: 'one too many' } },
    };
    await each(described(409), async (operation) => {
        const options = special[`${operation.method} ${operation.path}`];
        assert.ok(options || isNode(operation), `${operation.method} ${operation.path}`);
        meet(operation, await ask(operation, options ?? {
            values: { node: fakes.name(3) }, body: bodyOf(operation) }), 409);
    });
    expectOk(await cesid.api('DELETE', '/nodes/twin'), 204);
});

test('R7.2 too many at once, and too many guesses', async () => {
    const find = (line) => api.find(...line.split(' '));
    const login = find('POST /api/v1/auth/login'), change = find('PUT /api/v1/auth/password');
    const guess = { body: { username: 'twin', password: 'a guess' }, token: null };
    await until('a lock', async () => (await ask(login, guess)).status === 429);
    meet(login, await ask(login, guess), 429);
    const own = { body: { old: 'a guess', new: `${password}, again` },
        token: expectOk(await cesid.post('/auth/login', { username: 'stranger', password },
            { token: null })).token };
    await until('a lock', async () => (await ask(change, own)).status === 429);
    meet(change, await ask(change, own), 429);
    for (const [line, options] of [
        ['POST /api/v1/users', { body: { username: 'twin', password } }],
        ['PATCH /api/v1/users/{username}', { values: { username: 'twin' }, body: { password } }],
    ]) {
        // Each costs a hash, of which few are made at a time.
        const answers = await Promise.all(Array.from({ length: 60 }, () =>
            ask(find(line), options)));
        meet(find(line), answers.find(({ status }) => status === 429) ?? answers[0], 429);
    }
});

test('R7.2 a node that fails, on every route that asks it', async () => {
    const query = (operation) => (/\/(start|stop|restart|signal|stdin)$/.test(operation.path) &&
        !/supervisor/.test(operation.path) ? '?force=true' : '');
    // Each on a process of its own: two actions on one are a conflict.
    const process = (operation) => `p00${String(described(502).indexOf(operation))
        .padStart(2, '0')}:p00${String(described(502).indexOf(operation)).padStart(2, '0')}`;
    await fakes.fault('1', 'refuse');
    await cesid.nodeIs(fakes.name(1), 'down');
    await each(described(502), async (operation) => meet(operation, await ask(operation, {
        values: { node: fakes.name(1), process: process(operation) }, body: bodyOf(operation), query: query(operation) }), 502));
    await fakes.fault('2', 'silent');
    await each(described(502), async (operation) => meet(operation, await ask(operation, {
        values: { node: fakes.name(2), process: process(operation) }, body: bodyOf(operation), query: query(operation) }), 504));
});

test('R7.2 the end of the server, on every route', async () => {
    await fakes.order('state', '0', '*', 'STOPPED');
    await cesid.processIs(fakes.name(0), 'p0000:p0000', 'STOPPED');
    await fakes.order('set', '0', 'start_delay=60');
    const agent = new Agent({ keepAlive: true });
    expectOk(await cesid.api('GET', '/nodes', { agent }));
    expectOk(await cesid.post('/operations', { action: 'start', select: { nodes: [fakes.name(0)] },
        timeout: 60, batch_timeout: 60 }), 202);
    cesid.signal('SIGTERM');
    await until('a refusal', async () => (await cesid.api('GET', '/nodes', { agent })).status === 503);
    for (const operation of described(503))
        meet(operation, await ask(operation, {}), 503);
    agent.destroy();
    await fakes.order('state', '0', '*', 'RUNNING');
});

test('R7.2 a store that takes too long, on every route', { timeout: 110_000 }, async () => {
    const mariadb = await new Mariadb().create();
    const store = await mariadb.store({ pool: 16, acquire_timeout: 20.0, query_timeout: 1.0 });
    const late = new Cesid({ nodes: fakes.configs(), config: { store } });
    const file = join(late.directory, 'metrics-token');
    writeFileSync(file, 'secret\n', { mode: 0o600 });
    late.config.metrics = { token_file: file };
    let lock;
    try {
        await late.start();
        await late.login();
        // Started anew it does not know the session yet.
        await late.stop();
        late.stopped = false;
        await late.start();
        lock = mariadb.hold('LOCK TABLES users WRITE; SELECT 1;\n', store.database);
        await until('the table is locked', () => lock.stdout.includes('1'));
        await each(described(504), async (operation) => {
            const options = /login$/.test(operation.path)
                ? { token: null, body: { username: 'x', password } } : {};
            const answer = await late.request(operation.method, fill(operation), options);
            assert.equal(answer.json?.code, 'store_timeout', `${operation.path}: ${answer.text}`);
            meet(operation, answer, 504);
        });
        const metrics = api.find('GET', '/metrics');
        meet(metrics, await late.request('GET', '/metrics', { token: null }), 401);
    } finally {
        lock?.kill();
        if (lock)
            await within('the end of the lock', lock.exited);
        await late.stop();
        await mariadb.stop();
    }
});

test('R7.2 every status of every route was met', () => {
    const missing = api.operations.flatMap(({ method, path, responses }) => Object.keys(responses)
        .filter((status) => status >= 400 && status !== '500')
        .map((status) => `${method} ${path} ${status}`)).filter((each) => !met.has(each));
    assert.deepEqual(missing, []);
});
