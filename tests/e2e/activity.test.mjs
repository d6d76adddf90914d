// The record of who did what: real actions, filters, export, who may read it, and what survives.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { userWith } from './lib/users.mjs';
import { until } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const find = async (query) => (await cesid.get(`/activity?${new URLSearchParams(query)}`)).items;
const one = async (query) => {
    const items = await find(query);
    assert.equal(items.length, 1, JSON.stringify(items));
    return items[0];
};

test('an action is recorded with who, what, where, how it went and from where', async () => {
    const answer = await cesid.post('/nodes/alpha/processes/cat/restart', undefined,
        { headers: { 'X-Request-ID': 'restart-1', 'User-Agent': 'tests/1 "x"' } });
    expectOk(answer);
    const record = await one({ action: 'process.restart' });
    assert.match(record.id, /^[0-9a-f]{32}$/);
    assert.match(record.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(record.duration > 0 && record.duration < 60, `${record.duration}`);
    const { id, at, duration, ...rest } = record;
    assert.deepEqual(rest, {
        level: 'info', actor: 'admin', action: 'process.restart', resource: 'process',
        target: 'alpha/cat:cat', environment: 'production', result: 'ok', status: 200,
        request_id: 'restart-1', address: '127.0.0.1', user_agent: 'tests/1 "x"',
        details: { operation: answer.json.id },
    });
});

test('sign-ins and their refusals are recorded, and no password', async () => {
    const wrong = 'hunter2 hunter2';
    const headers = (id) => ({ token: null, headers: { 'X-Request-ID': id } });
    expectOk(await cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword }, headers('good')));
    expectProblem(await cesid.post('/auth/login', { username: 'admin', password: wrong },
        headers('bad')), 401, 'invalid_credentials');
    // A user whom nobody has: perhaps the password, in the wrong field.
    expectProblem(await cesid.post('/auth/login', { username: 'Tr0ub4dor', password: wrong },
        headers('nobody')), 401, 'invalid_credentials');
    const byId = await until('all three are there', async () => {
        const items = await find({ action: 'auth.login' });
        const found = Object.fromEntries(items.map((item) => [item.request_id, item]));
        return found.good && found.bad && found.nobody && found;
    });
    const told = ({ actor, target, result, status, level, address }) =>
        [actor, target, result, status, level, address];
    assert.deepEqual(told(byId.good), ['admin', 'admin', 'ok', 200, 'info', '127.0.0.1']);
    assert.deepEqual(told(byId.bad), ['admin', 'admin', 'refused', 401, 'warning', '127.0.0.1']);
    assert.deepEqual(told(byId.nobody), [null, null, 'refused', 401, 'warning', '127.0.0.1']);
    assert.equal(byId.bad.details.code, 'invalid_credentials');
    const all = JSON.stringify((await cesid.get('/activity?limit=1000')).items);
    for (const secret of [wrong, 'Tr0ub4dor', cesid.adminPassword])
        assert.ok(!all.includes(secret), secret);
});

test('what was refused or failed is recorded as such', async () => {
    const send = (path, id, options = {}) => cesid.api('POST', path,
        { ...options, headers: { 'X-Request-ID': id } });
    expectProblem(await send('/nodes/alpha/processes/cat/start', 'again'), 409, 'already_started');
    expectProblem(await send('/nodes/alpha/processes/nosuch/start', 'nosuch'), 404, 'not_found');
    const again = await one({ action: 'process.start', result: 'refused', target: '*cat' });
    assert.deepEqual([again.request_id, again.status, again.level, again.details.code],
        ['again', 409, 'warning', 'already_started']);
    const nosuch = await one({ target: 'alpha/nosuch*' });
    assert.deepEqual([nosuch.request_id, nosuch.status, nosuch.result], ['nosuch', 404, 'refused']);
    // No credentials: nobody's.
    expectProblem(await send('/nodes/alpha/processes/cat/stop', 'stranger', { token: null }),
        401, 'unauthenticated');
    const stranger = await until('the refusal is there', async () =>
        (await find({ action: 'process.stop', result: 'refused' }))[0]);
    assert.deepEqual([stranger.actor, stranger.target, stranger.status, stranger.request_id],
        [null, 'alpha/cat:cat', 401, 'stranger']);
});

test('who may not is recorded with what he wanted, also to read', async () => {
    const token = await userWith(cesid, 'vera', 'operator', 'production');
    expectProblem(await cesid.api('POST', '/system/reload', { token }), 403, 'forbidden');
    expectProblem(await cesid.api('GET', '/system/log-level', { token }), 403, 'forbidden');
    const items = await until('both are there', async () => {
        const found = await find({ actor: 'vera', result: 'refused' });
        return found.length === 2 && found;
    });
    assert.deepEqual(items.map(({ action, target, status }) => [action, target, status]), [
        ['access.read', '/api/v1/system/log-level', 403], ['system.reload', null, 403],
    ]);
});

test('R2.3 changes of state are recorded, with what they were before', async () => {
    const { pid } = await cesid.process('alpha', 'sleeper');
    process.kill(pid, 'SIGKILL');
    const change = await until('the change is there', async () =>
        (await find({ action: 'process.state', target: 'alpha/sleeper:sleeper' }))[0]);
    assert.equal(change.actor, 'system');
    assert.equal(change.environment, 'production');
    assert.deepEqual([change.details.from, change.details.to], ['RUNNING', 'EXITED']);
    assert.equal(change.level, 'warning');
    fleet.gamma.child.kill();
    await fleet.gamma.child.exited;
    const down = await until('the node is down', async () =>
        (await find({ action: 'node.state', target: 'gamma' }))
            .find((record) => record.details.to === 'down'));
    assert.deepEqual([down.details.from, down.details.to, down.level], ['up', 'down', 'error']);
    assert.ok(down.details.cause);
});

test('each process of an operation on many has its record', async () => {
    const operation = expectOk(await cesid.api('POST', '/operations', {
        body: { action: 'restart', select: { nodes: ['beta'], processes: ['ticker*', 'words*'] } },
        headers: { Prefer: 'wait=30', 'X-Request-ID': 'many' },
    }));
    assert.equal(operation.total, 2);
    const items = await until('both are there', async () => {
        const found = await find({ action: 'process.restart', target: 'beta/*' });
        return found.length === 2 && found;
    });
    for (const { actor, address, result, request_id: id, environment, details } of items)
        assert.deepEqual([actor, address, result, id, environment, details.operation],
            ['admin', '127.0.0.1', 'ok', 'many', 'staging', operation.id]);
    const whole = await one({ action: 'operation.create' });
    assert.equal(whole.request_id, 'many');
});

test('what cesid does by itself or is told by a signal is recorded', async () => {
    cesid.signal('SIGHUP');
    const reload = await until('the reload is there', async () =>
        (await find({ action: 'system.reload', actor: 'system' }))[0]);
    assert.equal(reload.result, 'ok');
    const start = await one({ action: 'system.start' });
    assert.equal(start.actor, 'system');
});
