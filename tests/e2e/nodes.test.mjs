// Nodes as the API shows them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nodeConfig } from './lib/cesid.mjs';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { until } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const names = (list) => list.items.map((item) => item.name);

test('a node has every field of the contract, and never its password', async () => {
    const answer = await cesid.api('GET', '/nodes/alpha');
    const node = expectOk(answer);
    assert.deepEqual(Object.keys(node).sort(), ['breaker', 'cause', 'counts', 'enabled',
        'environment', 'hint', 'labels', 'last_refresh', 'latency', 'name', 'revision', 'since',
        'source', 'state', 'supervisor', 'url']);
    assert.equal(node.environment, 'production');
    assert.deepEqual(node.labels, { role: 'web' });
    assert.equal(node.url, fleet.alpha.url);
    assert.equal(node.source, 'config');
    assert.equal(node.state, 'up');
    assert.equal(node.cause, null);
    assert.equal(node.hint, null);
    assert.equal(node.supervisor.api_version, '3.0');
    assert.equal(node.supervisor.identification, 'alpha');
    assert.equal(node.supervisor.state, 'RUNNING');
    assert.deepEqual(node.breaker, { state: 'closed', failures: 0, retry_at: null });
    assert.equal(node.counts.total, 8);
    assert.ok(node.latency > 0 && node.latency < 5);
    assert.match(node.last_refresh, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    for (const text of [answer.text, (await cesid.api('GET', '/nodes')).text, cesid.log])
        assert.ok(!text.includes('staple'));
});

test('nodes are listed by name, filtered and paged', async () => {
    const all = await cesid.get('/nodes');
    assert.deepEqual(names(all), ['alpha', 'beta', 'gamma']);
    assert.equal(all.total, 3);
    assert.equal(all.next, null);
    assert.deepEqual(names(await cesid.get('/nodes?environment=production')), ['alpha', 'gamma']);
    assert.deepEqual(names(await cesid.get('/nodes?label=role%3Ddb')), ['beta']);
    assert.deepEqual(names(await cesid.get('/nodes?q=amm')), ['gamma']);
    assert.deepEqual(names(await cesid.get('/nodes?state=down')), []);
    assert.deepEqual(names(await cesid.get('/nodes?state=up')), ['alpha', 'beta', 'gamma']);

    const seen = [];
    let path = '/nodes?limit=1';
    for (let page = 0; page < 3; page++) {
        const list = await cesid.get(path);
        assert.equal(list.total, 3);
        assert.equal(list.items.length, 1);
        seen.push(...names(list));
        path = `/nodes?limit=1&cursor=${encodeURIComponent(list.next)}`;
        if (page === 2)
            assert.equal(list.next, null);
    }
    assert.deepEqual(seen, ['alpha', 'beta', 'gamma']);
});

test('environments and groups come with counts', async () => {
    const environments = await cesid.get('/environments');
    assert.deepEqual(names(environments), ['production', 'staging']);
    const production = await cesid.get('/environments/production');
    assert.equal(production.name, 'production');
    expectProblem(await cesid.api('GET', '/environments/moon'), 404, 'not_found');
    const groups = await cesid.get('/groups?limit=1000');
    assert.ok(names(groups).includes('workers'));
    assert.deepEqual(names(groups), [...names(groups)].sort());
});

test('HEAD answers like GET without a body', async () => {
    const head = await cesid.api('HEAD', '/nodes');
    assert.equal(head.status, 200);
    assert.equal(head.bytes.length, 0);
    const get = await cesid.api('GET', '/nodes');
    assert.equal(head.headers['content-type'], get.headers['content-type']);
});

test('an unchanged node keeps its revision, a change raises it', async () => {
    const gamma = await cesid.node('gamma');
    await until('another refresh', async () =>
        (await cesid.node('gamma')).last_refresh !== gamma.last_refresh);
    assert.equal((await cesid.node('gamma')).revision, gamma.revision);
    expectOk(await cesid.post('/nodes/gamma/processes/lone/stop'));
    assert.ok((await cesid.node('gamma')).revision > gamma.revision);
    expectOk(await cesid.post('/nodes/gamma/processes/lone/start'));
});

test('refresh polls now', async () => {
    const before = await cesid.node('beta');
    const answer = await cesid.post('/nodes/beta/refresh');
    assert.ok([200, 202, 204].includes(answer.status), answer.text);
    await until('a later refresh', async () =>
        (await cesid.node('beta')).last_refresh > before.last_refresh);
});

test("supervisord's own log, configuration and reread are there", async () => {
    const log = await cesid.get('/nodes/alpha/supervisor/log');
    assert.match(log.data, /supervisord started|RPC interface/);
    assert.equal(log.next - log.offset, Buffer.byteLength(log.data));
    const config = expectOk(await cesid.api('GET', '/nodes/gamma/config'));
    assert.ok(JSON.stringify(config).includes('crunch'));

    fleet.gamma.programs.extra = { command: '/bin/sleep 100000' };
    fleet.gamma.configure();
    const change = expectOk(await cesid.post('/nodes/gamma/reread'));
    assert.deepEqual(change, { added: ['extra'], changed: [], removed: [] });
    const update = await cesid.post('/nodes/gamma/update');
    assert.ok(update.status < 300, update.text);
    await cesid.processIs('gamma', 'extra:extra', 'RUNNING');

    const socket = await cesid.socket();
    await socket.subscribe('node:gamma');
    const from = socket.mark;
    delete fleet.gamma.programs.extra;
    fleet.gamma.configure();
    const less = await cesid.post('/nodes/gamma/update');
    assert.ok(less.status < 300, less.text);
    await socket.next('the removed process', (message) => message.type === 'process' &&
        message.data.id === 'extra:extra' && message.data.state === 'REMOVED', { from });
    expectProblem(await cesid.api('GET', '/nodes/gamma/processes/extra:extra'), 404, 'not_found');
    await socket.close();
});

test('a node that was restarted comes back by itself', async () => {
    const { pid } = await cesid.process('beta', 'ticker');
    const answer = await cesid.post('/nodes/beta/supervisor/restart');
    assert.ok(answer.status < 300, answer.text);
    await until('another ticker runs', async () => {
        const ticker = await cesid.process('beta', 'ticker');
        return ticker.state === 'RUNNING' && ticker.pid !== pid;
    }, 30);
    await cesid.nodeIs('beta', 'up', 20);
});

test('check names the cause and says what to do', async () => {
    const fine = expectOk(await cesid.post('/nodes/alpha/check'));
    assert.equal(fine.ok, true);
    assert.equal(fine.cause, null);
    assert.equal(typeof fine.latency, 'number');
    assert.equal(fine.version, (await cesid.node('alpha')).supervisor.version);
});

test('what is not there is 404', async () => {
    for (const path of ['/nodes/delta', '/nodes/delta/processes', '/nodes/alpha/processes/nope',
        '/nodes/alpha/processes/nope:nope/log', '/nodes/ALPHA', '/nodes/alpha/nothing'])
        expectProblem(await cesid.api('GET', path), 404, 'not_found');
    expectProblem(await cesid.post('/nodes/delta/refresh'), 404, 'not_found');
    assert.ok(nodeConfig(fleet.gamma).url);
});

test('supervisor/shutdown ends it, and the node is down', async () => {
    const answer = await cesid.post('/nodes/gamma/supervisor/shutdown');
    assert.ok(answer.status < 300, answer.text);
    const node = await cesid.nodeIs('gamma', 'down', 20);
    assert.equal(node.cause, 'refused');
    assert.ok(node.hint.length > 10);
});
