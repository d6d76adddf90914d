// Every status of a failure that the description has for a route is met on that route, or it is said
// here why not and where it is tested instead. What succeeds is in contract.test.mjs.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Description } from './lib/openapi.mjs';
import { Wire } from './lib/raw.mjs';
import { until } from './lib/wait.mjs';

const maxBody = 4096;
const met = new Set();
let fakes, cesid, api, nobody;

before(async () => {
    fakes = await new Fakes({ nodes: 3, processes: 20 }).start();
    cesid = new Cesid({ nodes: fakes.configs(), config: {
        server: { header_timeout: 4, request_timeout: 3, max_body: maxBody },
        timeouts: { connect: 1.0, refresh: 1.0, start: 1.0, stop: 1.0, restart: 1.0, signal: 1.0,
            log: 1.0, config: 1.0, batch: 2.0, shutdown: 10.0 },
        breaker: { failures: 1000 },
    } });
    await cesid.start();
    await cesid.login();
    for (let i = 0; i < 3; i++)
        await cesid.nodeIs(fakes.name(i), 'up');
    api = await Description.of(cesid);
    const password = 'of no use to anybody';
    expectOk(await cesid.post('/users', { username: 'nobody', password }), 201);
    nobody = expectOk(await cesid.post('/auth/login', { username: 'nobody', password },
        { token: null })).token;
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

test('R7.2 who may not and what is not there, on every route', async () => {
    await each(described(401), async (operation) => {
        const body = /login$/.test(operation.path) ? { username: 'x', password: 'x' } : undefined;
        const answer = await ask(operation, { token: null, body });
        if (operation.path !== '/metrics')
            meet(operation, answer, 401);
    });
    // A node that is not seen does not exist.
    await each(described(403).filter((operation) => !operation.path.includes('{node}')),
        async (operation) => {
            const answer = await ask(operation, { token: nobody });
            if (answer.status === 403)
                meet(operation, answer, 403);
        });
    await each(described(404), async (operation) => {
        const values = { node: 'nothing', environment: 'nothing' };
        const body = operation.method === 'PUT' && /roles/.test(operation.path)
            ? { permissions: ['node:read'] } : operation.method === 'PATCH' ? {} : undefined;
        meet(operation, await ask(operation, { values, body }), 404);
    });
});

test('R7.2 a node that fails, on every route that asks it', async () => {
    const bodies = { signal: { signal: 'HUP' }, stdin: { data: 'x' } };
    const body = (operation) => bodies[operation.path.split('/').at(-1)];
    const query = (operation) => (/\/(start|stop|restart|signal|stdin)$/.test(operation.path) &&
        !/supervisor/.test(operation.path) ? '?force=true' : '');
    // Each on a process of its own: two actions on one are a conflict.
    const process = (operation) => `p00${String(described(502).indexOf(operation))
        .padStart(2, '0')}:p00${String(described(502).indexOf(operation)).padStart(2, '0')}`;
    await fakes.fault('1', 'refuse');
    await cesid.nodeIs(fakes.name(1), 'down');
    await each(described(502), async (operation) => meet(operation, await ask(operation, {
        values: { node: fakes.name(1), process: process(operation) }, body: body(operation), query: query(operation) }), 502));
    await fakes.fault('2', 'silent');
    await each(described(502), async (operation) => meet(operation, await ask(operation, {
        values: { node: fakes.name(2), process: process(operation) }, body: body(operation), query: query(operation) }), 504));
});

test('R7.2 the end of the server, on every route', async () => {
    await fakes.order('state', '0', '*', 'STOPPED');
    await cesid.processIs(fakes.name(0), 'p0000:p0000', 'STOPPED');
    await fakes.order('set', '0', 'start_delay=60');
    const agent = new Agent({ keepAlive: true });
    expectOk(await cesid.api('GET', '/nodes', { agent }));
    expectOk(await cesid.post(`/nodes/${fakes.name(0)}/start-all`), 202);
    cesid.signal('SIGTERM');
    await until('a refusal', async () => (await cesid.api('GET', '/nodes', { agent })).status === 503);
    for (const operation of described(503))
        meet(operation, await ask(operation, {}), 503);
    agent.destroy();
});

// Why a status is described and not met above.
function reason({ method, path }, status) {
    if (status === 500)
        return 'a mistake of our own';
    if (status === 504)
        return 'a statement of the store that takes too long: tests/unit/test_store.c';
    if (status === 409)
        return 'states of one resource: nodes-api, accounts, processes and regressions.test.mjs';
    if (status === 429)
        return 'guessing: auth.test.mjs, accounts.test.mjs';
    if (status === 403 && path.includes('{node}'))
        return 'one who sees the node and may not act: accounts.test.mjs';
    if (status === 403)
        return 'with a cookie and without its token, or from another origin: attack.test.mjs';
    if (status === 401 && path === '/metrics')
        return 'with a token_file: metrics.test.mjs';
    return undefined && method;
}

test('R7.2 every status of every route is met, or has a reason', () => {
    const missing = [], reasons = new Map();
    let count = 0;
    for (const operation of api.operations)
        for (const status of Object.keys(operation.responses).map(Number)) {
            if (status < 400)
                continue;
            count++;
            if (met.has(`${operation.method} ${operation.path} ${status}`))
                continue;
            const why = reason(operation, status);
            if (why)
                reasons.set(why, (reasons.get(why) ?? 0) + 1);
            else
                missing.push(`${operation.method} ${operation.path} ${status}`);
        }
    assert.deepEqual(missing, []);
    assert.ok(met.size > count * 0.7, `${met.size} of ${count}`);
});
