// Nodes that are added, changed and removed over the API.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until } from './lib/wait.mjs';

const password = 'hush-hush-5e3f19';
let open, guarded, cesid;
before(async () => {
    open = new Supervisord({
        name: 'open', programs: { ticker: programs.ticker, slow: programs.slow },
    });
    guarded = new Supervisord({
        name: 'guarded', username: 'ops', password, programs: { cat: programs.cat },
    });
    await Promise.all([open.start(), guarded.start()]);
    cesid = new Cesid({ nodes: [nodeConfig(open, { name: 'fixed' })] });
    await cesid.start();
    await cesid.login();
});
after(async () => {
    try {
        await cesid?.stop();
    } finally {
        [open, guarded].forEach((node) => node?.child?.kill());
    }
});

const add = (body) => cesid.post('/nodes', body);
const patch = (name, body) => cesid.api('PATCH', `/nodes/${name}`, { body });
const remove = (name) => cesid.api('DELETE', `/nodes/${name}`);
const guest = (extra = {}) =>
    ({ name: 'guest', environment: 'test', url: open.url, ...extra });

test('a node is added, watched, and removed', async () => {
    const answer = await add(guest({ labels: { role: 'web', 'a.b': 'x=y, z' } }));
    const created = expectOk(answer, 201);
    assert.match(answer.headers.location, /\/api\/v1\/nodes\/guest$/);
    assert.equal(created.source, 'store');
    assert.deepEqual(created.labels, { 'a.b': 'x=y, z', role: 'web' });
    const up = await cesid.nodeIs('guest', 'up');
    assert.equal(up.counts.total, 2);
    assert.equal((await cesid.get('/nodes?label=role=web')).total, 1);
    expectProblem(await add(guest()), 409, 'conflict');
    expectProblem(await add(guest({ name: 'fixed' })), 409, 'conflict');
    assert.equal((await remove('guest')).status, 204);
    expectProblem(await remove('guest'), 404, 'not_found');
    assert.equal((await cesid.get('/nodes')).total, 1);
});

test('R9.1 what makes no sense is refused, field by field', async () => {
    const fields = async (answer) => expectProblem(answer, 422, 'validation_failed').errors
        .map((error) => `${error.field} ${error.code}`);
    assert.deepEqual(await fields(await add({ name: 'x' })),
        ['environment required', 'url required']);
    assert.deepEqual(await fields(await add(guest({ url: 'unix:///run/supervisor.sock' }))),
        ['url bad_format']);
    assert.deepEqual(await fields(await add(guest({ url: 'file:///etc/passwd' }))),
        ['url bad_format']);
    assert.deepEqual(await fields(await add(guest({ url: 'http://u:p@127.0.0.1/RPC2' }))),
        ['url bad_format']);
    assert.deepEqual(await fields(await add(guest({ name: '../x' }))), ['name bad_format']);
    assert.deepEqual(await fields(await add(guest({ labels: { role: 7 } }))),
        ['labels.role wrong_type']);
    assert.deepEqual(await fields(await add(guest({ labels: ['role=web'] }))),
        ['labels wrong_type']);
    assert.deepEqual(await fields(await add(guest({ labels: { 'no good': 'x' } }))),
        ['labels.no good bad_format']);
    assert.deepEqual(await fields(await add(guest({ labels: { 'a=b': 'c', a: 'd' } }))),
        ['labels.a=b bad_format']);
    assert.deepEqual(await fields(await add(guest({ password: 'x' }))), ['username required']);
    assert.deepEqual(await fields(await add(guest({ ca_file: '/etc/passwd' }))),
        ['ca_file unknown']);
    assert.equal((await cesid.get('/nodes')).total, 1);
});

test('a node of the file is read-only', async () => {
    expectProblem(await patch('fixed', { enabled: false }), 409, 'read_only_node');
    expectProblem(await remove('fixed'), 409, 'read_only_node');
    await cesid.nodeIs('fixed', 'up');
});

test('R7.5 passwords are sealed in the store, shown nowhere, and asked for with a new url', async () => {
    expectOk(await add(guest({ url: guarded.url, username: 'ops', password })), 201);
    await cesid.nodeIs('guest', 'up');
    const shown = await cesid.api('GET', '/nodes/guest');
    assert.ok(!shown.text.includes(password));
    const moved = guarded.url.replace('127.0.0.1', 'localhost');
    const wrong = expectProblem(await cesid.api('PATCH', '/nodes/guest',
        { body: { environment: 'elsewhere', enabled: 'maybe' } }), 422, 'validation_failed');
    assert.equal(wrong.errors[0].field, 'enabled');
    const again = await patch('guest', { url: moved });
    assert.equal(again.status, 422);
    assert.equal(again.json.errors[0].field, 'password');
    assert.equal((await cesid.node('guest')).url, guarded.url);
    expectOk(await patch('guest', { url: moved, password }));
    await cesid.nodeIs('guest', 'up');
    expectOk(await patch('guest', { password: 'wrong' }));
    await until('it is refused', async () =>
        (await cesid.node('guest')).cause === 'unauthorized');
    expectOk(await patch('guest', { password, url: guarded.url }));
    await cesid.nodeIs('guest', 'up');

    for (const file of ['cesid.db', 'cesid.db-wal']) {
        try {
            assert.ok(!readFileSync(join(cesid.state, file)).includes(password), file);
        } catch (error) {
            if (error.code !== 'ENOENT')
                throw error;
        }
    }
    assert.ok(!cesid.log.includes(password));
    assert.equal(statSync(join(cesid.state, 'vault.key')).mode & 0o777, 0o600);
});

test('R7.5 a changed url never gets the old password', async () => {
    const heard = [];
    const elsewhere = createServer((request, answer) => {
        heard.push(request.headers.authorization ?? 'none');
        answer.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    }).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const url = `http://127.0.0.1:${elsewhere.address().port}/RPC2`;
    const basic = (secret) => `Basic ${Buffer.from(`ops:${secret}`).toString('base64')}`;
    const heardOf = async (change, authorization) => {
        expectOk(await patch('guest', change));
        await cesid.post('/nodes/guest/check');
        await until(`${authorization} is sent`, () => heard.includes(authorization));
    };
    try {
        // Neither alone, nor with the user name, nor after it was taken away and asked back.
        for (const change of [{ url }, { url, username: 'ops' }, { url, username: '' },
            { url, enabled: false }, { url, labels: {} }, { url: `${url}/` }]) {
            const { errors } = expectProblem(await patch('guest', change), 422,
                'validation_failed');
            assert.ok(errors.some(({ field }) => field === 'password'), JSON.stringify(change));
        }
        assert.equal((await cesid.node('guest')).url, guarded.url);
        await cesid.post('/nodes/guest/refresh');
        assert.deepEqual(heard, []);

        await heardOf({ url, password: 'another-one' }, basic('another-one'));
        await heardOf({ url: `${url}2`, username: '', password: '' }, 'none');
        await heardOf({ url, username: 'ops', password: 'a-third' }, basic('a-third'));
        expectOk(await patch('guest', { url: guarded.url, username: 'ops', password }));
        await cesid.nodeIs('guest', 'up');
    } finally {
        elsewhere.closeAllConnections();
        elsewhere.close();
    }
    assert.deepEqual([...new Set(heard)].sort(),
        ['none', basic('another-one'), basic('a-third')].sort());
});

test('settings change in place, and what is not touched stays', async () => {
    const before = await cesid.node('guest');
    const changed = expectOk(await patch('guest', { environment: 'stage', labels: { tier: '1' } }));
    assert.equal(changed.environment, 'stage');
    assert.deepEqual(changed.labels, { tier: '1' });
    assert.equal(changed.state, 'up', 'the connection is the same');
    assert.equal(changed.url, before.url);
    const [process] = (await cesid.get('/nodes/guest/processes')).items;
    assert.equal(process.environment, 'stage');
    assert.equal(expectOk(await patch('guest', { enabled: false })).state, 'disabled');
    assert.equal((await cesid.get('/nodes/guest/processes')).total, 0);
    expectProblem(await cesid.post('/nodes/guest/processes/cat/start'), 409, 'conflict');
    expectOk(await patch('guest', { enabled: true }));
    await cesid.nodeIs('guest', 'up');
});

test('nodes outlast cesid; the file wins when both have a name', async () => {
    expectOk(await add(guest({ name: 'shared' })), 201);
    await cesid.stop();
    cesid.stopped = false;
    cesid.nodes.push(nodeConfig(guarded, { name: 'shared', environment: 'file' }));
    await cesid.start();
    const node = await cesid.nodeIs('guest', 'up');
    assert.equal(node.environment, 'stage');
    assert.deepEqual(node.labels, { tier: '1' });
    const shared = await cesid.nodeIs('shared', 'up');
    assert.equal(shared.source, 'config');
    assert.equal(shared.environment, 'file');
    await until('the log has it', () => /the file's is used.*shared/.test(cesid.log));
    expectProblem(await remove('shared'), 409, 'read_only_node');
});

test('R6.4 R2.1 a node goes while it is polled, followed, watched and operated on', async () => {
    expectOk(await add(guest({ name: 'short-lived' })), 201);
    await cesid.nodeIs('short-lived', 'up');
    const socket = await cesid.socket();
    socket.send({ type: 'subscribe', topics: ['fleet', 'log:short-lived:ticker:ticker:stdout'] });
    const follow = cesid.follow('/nodes/short-lived/processes/ticker/log/follow');
    await until('the log is followed', () => follow.stdout.includes('tick') &&
        socket.messages.some((message) => message.type === 'log'));
    const operation = expectOk(await cesid.post('/nodes/short-lived/processes/slow/start',
        undefined, { headers: { Prefer: 'wait=0' } }), 202);
    assert.equal((await remove('short-lived')).status, 204);
    await until('its end is told', () => socket.messages.some((message) =>
        message.type === 'node_removed' && message.data.name === 'short-lived'));
    await until('the operation ended', async () =>
        (await cesid.get(`/operations/${operation.id}`)).state !== 'running');
    await until('the follower is let go', () => !follow.running);
    expectProblem(await cesid.api('GET', '/nodes/short-lived'), 404, 'not_found');
});

test('R2.1 many add, change and remove at once, and the store agrees with what is seen', async () => {
    const work = async (who) => {
        for (let i = 0; i < 8; i++) {
            const name = `n${(who + i) % 5}`;
            const answers = [await add(guest({ name, enabled: false })),
                await patch(name, { labels: { who: String(who) } }), await remove(name)];
            for (const answer of answers)
                assert.ok([200, 201, 204, 404, 409].includes(answer.status), answer.text);
        }
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(work));
    for (let i = 0; i < 3; i++)
        await add(guest({ name: `n${i}`, enabled: false }));
    const names = async () => (await cesid.get('/nodes')).items.map((node) => node.name);
    const seen = await names();
    await cesid.stop();
    cesid.stopped = false;
    await cesid.start();
    assert.deepEqual(await names(), seen);
});
