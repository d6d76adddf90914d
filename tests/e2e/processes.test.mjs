// Processes: looking at them, acting on them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { slow, until } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const act = (node, process, action, body, headers) =>
    cesid.post(`/nodes/${node}/processes/${process}/${action}`, body, headers ? { headers } : {});
const names = (list) => list.items.map((item) => item.name);

test('a process has every field of the contract, by full and by short name', async () => {
    const process = await cesid.process('alpha', 'ticker:ticker');
    assert.deepEqual(Object.keys(process).sort(), ['description', 'environment', 'exit_status',
        'group', 'id', 'name', 'node', 'pid', 'revision', 'spawn_error', 'started_at', 'state',
        'statecode', 'stderr_log', 'stdout_log', 'stopped_at']);
    assert.equal(process.state, 'RUNNING');
    assert.equal(process.statecode, 20);
    assert.equal(process.description, null);
    assert.ok(process.pid > 1);
    assert.ok(process.stdout_log.startsWith('/'));
    assert.deepEqual(await cesid.process('alpha', 'ticker'), process);
    const list = await cesid.get('/nodes/alpha/processes');
    assert.equal(list.total, 8);
    assert.ok(list.items.some((item) => item.id === 'ticker:ticker'));

    const idle = await cesid.process('alpha', 'idle');
    assert.equal(idle.state, 'STOPPED');
    assert.equal(idle.pid, 0);
    const fatal = await cesid.processIs('alpha', 'fatal', 'FATAL');
    assert.match(fatal.spawn_error ?? fatal.description, /Exited too quickly/);
    const once = await cesid.process('alpha', 'once');
    assert.equal(once.state, 'EXITED');
    assert.equal(once.exit_status, 0);
});

test('start, stop and restart answer with what happened, and the state is there at once', async () => {
    const started = expectOk(await act('alpha', 'idle', 'start'));
    assert.equal(started.action, 'start');
    assert.equal(started.state, 'done');
    assert.equal(started.total, 1);
    assert.equal(started.succeeded, 1);
    assert.equal(started.failed, 0);
    const [result] = started.results;
    assert.equal(result.node, 'alpha');
    assert.equal(result.process, 'idle:idle');
    assert.equal(result.ok, true);
    const running = await cesid.processIs('alpha', 'idle', 'RUNNING', 2);

    const restarted = expectOk(await act('alpha', 'idle:idle', 'restart'));
    assert.equal(restarted.action, 'restart');
    const again = await cesid.processIs('alpha', 'idle', 'RUNNING', 2);
    assert.notEqual(again.pid, running.pid);

    expectOk(await act('alpha', 'idle', 'stop'));
    const stopped = await cesid.processIs('alpha', 'idle', 'STOPPED', 2);
    assert.equal(stopped.pid, 0);
    assert.ok(stopped.revision > again.revision);

    // A restart of what does not run starts it.
    expectOk(await act('alpha', 'idle', 'restart'));
    await cesid.processIs('alpha', 'idle', 'RUNNING', 2);
    expectOk(await act('alpha', 'idle', 'stop'));
});

test('R7.2 starting what runs is 409 already_started, stopping what does not is not_running', async () => {
    expectProblem(await act('alpha', 'ticker', 'start'), 409, 'already_started');
    await cesid.processIs('alpha', 'idle', 'STOPPED');
    expectProblem(await act('alpha', 'idle', 'stop'), 409, 'not_running');
    expectProblem(await act('alpha', 'idle', 'signal', { signal: 'HUP' }), 409, 'not_running');
    expectProblem(await act('alpha', 'idle', 'stdin', { data: 'x' }), 409, 'not_running');
    expectProblem(await act('alpha', 'nothing', 'start'), 404, 'not_found');
});

test("a fault keeps supervisord's own words", async () => {
    const answer = await act('alpha', 'fatal', 'start');
    const problem = expectProblem(answer, 502, 'node_fault');
    const names = { 40: 'ABNORMAL_TERMINATION', 50: 'SPAWN_ERROR' };
    assert.equal(problem.fault.name, names[problem.fault.code], answer.text);
    assert.match(problem.fault.text, /fatal/);
});

test('signals and standard input arrive', async () => {
    expectOk(await act('beta', 'hup', 'signal', { signal: 'HUP' }));
    await until('the program saw HUP', async () =>
        (await cesid.get('/nodes/beta/processes/hup/log')).data.includes('got HUP'));
    expectOk(await act('alpha', 'cat', 'stdin', { data: 'grüße <b>&amp;</b>\n' }));
    await until('cat says it back', async () =>
        (await cesid.get('/nodes/alpha/processes/cat/log')).data.includes('grüße <b>&amp;</b>\n'));
    const wrong = await act('beta', 'hup', 'signal', { signal: 'NOSUCH' });
    assert.ok([422, 502].includes(wrong.status), wrong.text);
});

test('a slow start is 202 with a place to look, or waited for as Prefer says', async () => {
    const answer = await act('alpha', 'slow', 'start', undefined, { Prefer: 'wait=0' });
    const operation = expectOk(answer, 202);
    assert.equal(operation.state, 'running');
    assert.match(answer.headers.location, /\/api\/v1\/operations\//);
    const where = answer.headers.location.replace(/^https?:\/\/[^/]+/, '').replace('/api/v1', '');
    const done = await until('the operation is done', async () => {
        const now = await cesid.get(where);
        return now.state === 'done' && now;
    }, 15);
    assert.equal(done.succeeded, 1);
    assert.ok(done.finished_at >= done.created_at);
    await cesid.processIs('alpha', 'slow', 'RUNNING', 2);

    const begin = performance.now();
    const waited = expectOk(await act('alpha', 'slow', 'restart', undefined,
        { Prefer: 'wait=60' }));
    assert.equal(waited.state, 'done');
    assert.ok(performance.now() - begin > 2500, 'startsecs is waited for');
    expectOk(await act('alpha', 'slow', 'stop'));
});

test('start-all, stop-all and restart-all act on all of a node', async () => {
    const wait = { Prefer: 'wait=60' };
    const stopped = expectOk(await cesid.post('/nodes/gamma/stop-all', undefined, { headers: wait }));
    assert.equal(stopped.total, 6);
    assert.equal(stopped.failed, 0);
    for (const process of (await cesid.get('/nodes/gamma/processes')).items)
        assert.equal(process.state, 'STOPPED', process.id);
    const started = expectOk(await cesid.post('/nodes/gamma/start-all', undefined,
        { headers: wait }));
    assert.equal(started.succeeded, 6);
    const before = (await cesid.get('/nodes/gamma/processes')).items;
    assert.ok(before.every((process) => process.state === 'RUNNING'));
    expectOk(await cesid.post('/nodes/gamma/restart-all', undefined, { headers: wait }));
    const after = (await cesid.get('/nodes/gamma/processes')).items;
    assert.ok(after.every((process, i) =>
        process.state === 'RUNNING' && process.pid !== before[i].pid));
    // Without a wish it does not wait.
    const answer = await cesid.post('/nodes/gamma/restart-all');
    assert.ok([200, 202].includes(answer.status), answer.text);
    await until('all run again', async () =>
        (await cesid.get('/nodes/gamma/processes')).items.every((p) => p.state === 'RUNNING'), 20);
});

test('groups and numbered processes have their names', async () => {
    const list = await cesid.get('/nodes/gamma/processes');
    assert.deepEqual(list.items.map((item) => item.id), ['lone:lone', 'workers:crunch_00',
        'workers:crunch_01', 'workers:crunch_02', 'workers:pack_00', 'workers:pack_01']);
    expectOk(await act('gamma', 'workers:crunch_01', 'restart'));
});

test('the fleet-wide list searches, filters, sorts and pages', async () => {
    const all = await cesid.get('/processes?limit=1000');
    assert.equal(all.total, 18);
    assert.equal(all.items.length, 18);
    assert.equal(all.items[0].id, 'fatal:fatal', 'failures come first');

    assert.deepEqual(names(await cesid.get('/processes?state=FATAL')), ['fatal']);
    const several = await cesid.get('/processes?state=FATAL,EXITED');
    assert.ok(several.items.every((item) => ['FATAL', 'EXITED'].includes(item.state)));
    assert.ok(several.total >= 2);
    assert.equal((await cesid.get('/processes?q=crunch')).total, 3);
    assert.equal((await cesid.get('/processes?group=workers')).total, 5);
    assert.equal((await cesid.get('/processes?node=beta')).total, 4);
    assert.equal((await cesid.get('/processes?environment=staging')).total, 4);
    assert.equal((await cesid.get('/processes?name=ticker')).total, 2);
    assert.equal((await cesid.get('/processes?name=ticker&node=beta')).total, 1);
    assert.equal((await cesid.get('/processes?q=%25')).total, 0);

    for (const key of ['node', 'name', 'group', 'environment', 'state']) {
        const sorted = (await cesid.get(`/processes?limit=1000&sort=${key}`)).items
            .map((item) => item[key]);
        assert.deepEqual(sorted, [...sorted].sort(), key);
    }
    const seen = new Set();
    let cursor = null, pages = 0;
    do {
        const list = await cesid.get(`/processes?limit=4&sort=name${
            cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
        list.items.forEach((item) => seen.add(`${item.node}/${item.id}`));
        cursor = list.next;
        pages++;
    } while (cursor && pages < 20);
    assert.equal(pages, 5);
    assert.equal(seen.size, 18);
});

test('the summary counts instances across nodes', async () => {
    const { items } = await cesid.get('/processes/summary?limit=1000');
    const ticker = items.find((item) => item.name === 'ticker');
    assert.equal(ticker.group, 'ticker');
    assert.equal(ticker.instances, 2);
    assert.deepEqual(ticker.states, { running: 2 });
    assert.deepEqual(ticker.nodes, ['alpha', 'beta']);
    const staging = await cesid.get('/processes/summary?environment=staging');
    assert.equal(staging.items.find((item) => item.name === 'ticker').instances, 1);
});

test('R2.3 states stay whole while many read and act', async () => {
    const end = performance.now() + 2000 * Math.min(slow, 2);
    const actor = async (process) => {
        while (performance.now() < end) {
            const answer = await act('gamma', process, 'restart');
            assert.ok([200, 409].includes(answer.status), answer.text);
        }
    };
    const reader = async () => {
        let last = 0;
        while (performance.now() < end) {
            const node = await cesid.node('gamma');
            const { total, ...states } = node.counts;
            assert.equal(Object.values(states).reduce((a, b) => a + b), total);
            assert.ok(node.revision >= last, 'revisions never fall');
            last = node.revision;
            const { items } = await cesid.get('/nodes/gamma/processes');
            assert.equal(items.length, 6);
        }
    };
    await Promise.all([actor('lone:lone'), actor('workers:pack_00'), actor('workers:pack_00'),
        reader(), reader(), reader()]);
    await cesid.processIs('gamma', 'lone', 'RUNNING');
});
