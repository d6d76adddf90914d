// What a node runs changes behind cesid's back: other programs after a restart, groups added and
// removed by `update`, two names for one supervisord.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until } from './lib/wait.mjs';

// Stops when a test kills it, and not before.
const stubborn = {
    command: '/bin/sh -c "trap \'\' TERM; while :; do sleep 0.2; done"', stopwaitsecs: 60,
    stdout_logfile: 'NONE', stderr_logfile: 'NONE',
};
const sleep = { command: '/bin/sleep 100000', stdout_logfile: 'NONE', stderr_logfile: 'NONE' };
let node, cesid;
before(async () => {
    node = await new Supervisord({
        name: 'one', listener: 'unix',
        programs: { stays: sleep, goes: sleep, left: sleep, right: sleep },
        groups: { both: ['left', 'right'] },
    }).start();
    cesid = await new Cesid({
        nodes: [nodeConfig(node), nodeConfig(node, { name: 'twin', environment: 'other' })],
    }).start();
    await cesid.login();
    await cesid.nodeIs('one', 'up');
    await cesid.nodeIs('twin', 'up');
});
after(async () => {
    try {
        await cesid?.stop();
    } finally {
        node?.child?.kill(); // it would wait for the stubborn one
    }
});

const ids = async (name) => (await cesid.get(`/nodes/${name}/processes`)).items.map(({ id }) => id);

test('two nodes may lead to one supervisord; what is done by one is seen by the other', async () => {
    assert.deepEqual(await ids('one'), await ids('twin'));
    expectOk(await cesid.post('/nodes/one/processes/stays/stop'));
    await cesid.processIs('twin', 'stays:stays', 'STOPPED');
    // Each has its own turn on a process; supervisord settles who was first.
    const answers = await Promise.all(['one', 'twin'].map((name) =>
        cesid.post(`/nodes/${name}/processes/stays/start`)));
    assert.ok(answers.some(({ status }) => status === 200), answers.map(({ text }) => text).join());
    for (const answer of answers)
        if (answer.status !== 200)
            expectProblem(answer, 409, 'already_started');
    await cesid.processIs('one', 'stays:stays', 'RUNNING');
    const [both] = (await cesid.get('/processes/summary?q=both:left')).items;
    assert.deepEqual([both.instances, both.nodes], [2, ['one', 'twin']]);
});

test('a supervisord that comes back with other programs shows these, and only these', async () => {
    const socket = await cesid.socket();
    await socket.subscribe('node:one');
    node.programs = { stays: sleep, comes: sleep, left: { ...sleep, numprocs: 2 } };
    node.groups = {};
    await node.restart();
    await until('the new ones are there', async () =>
        (await ids('one')).join() === 'comes:comes,left:left_00,left:left_01,stays:stays');
    const removed = await until('those that went are told', () => {
        const messages = socket.messages.filter(({ type, data }) =>
            type === 'process' && data.state === 'REMOVED');
        return messages.length >= 3 && messages;
    });
    assert.deepEqual(removed.map(({ data }) => data.id).sort(),
        ['both:left', 'both:right', 'goes:goes']);
    for (const { data } of removed)
        assert.ok(data.previous && data.node === 'one' && data.revision > 1, JSON.stringify(data));
    const added = await socket.next('one that came', ({ type, data }) =>
        type === 'process' && data.id === 'comes:comes');
    assert.equal(added.data.previous, null);
    await socket.close();

    expectProblem(await cesid.api('GET', '/nodes/one/processes/goes'), 404, 'not_found');
    expectProblem(await cesid.post('/nodes/one/processes/goes/start'), 404, 'not_found');
    expectProblem(await cesid.api('GET', '/nodes/one/processes/both:left/log'), 404, 'not_found');
    assert.ok(!(await cesid.get('/groups')).items.some(({ name }) => name === 'both') ||
        (await ids('twin')).includes('both:left'));
    assert.equal((await cesid.node('one')).counts.total, 4);
});

test('update takes in what the file has, by group, and says what it did', async () => {
    await cesid.processIs('one', 'stays:stays', 'RUNNING');
    const { pid } = await cesid.process('one', 'stays:stays');
    node.programs = { stays: sleep, left: { ...sleep, numprocs: 3 }, late: sleep };
    node.configure();
    const changes = { added: ['late'], changed: ['left'], removed: ['comes'] };
    assert.deepEqual(expectOk(await cesid.post('/nodes/one/reread')), changes);
    assert.ok((await ids('one')).includes('comes:comes'), 'reread changes nothing');
    assert.deepEqual(expectOk(await cesid.post('/nodes/one/update')), changes);
    assert.equal((await ids('one')).join(),
        'late:late,left:left_00,left:left_01,left:left_02,stays:stays', 'it is so at once');
    await cesid.processIs('one', 'late:late', 'RUNNING');
    assert.equal((await cesid.process('one', 'stays:stays')).pid, pid, 'what stays is left alone');
});

const kill = (pid) => process.kill(pid, 'SIGKILL');

async function withStubborn() {
    const before = await cesid.api('GET', '/nodes/one/processes/slow:slow');
    if (before.json.pid > 0)
        kill(before.json.pid);
    node.programs = { stays: sleep, slow: stubborn };
    node.groups = {};
    node.configure();
    expectOk(await cesid.post('/nodes/one/update'));
    await cesid.processIs('one', 'slow:slow', 'RUNNING');
    return (await cesid.process('one', 'slow:slow')).pid;
}

// The stop outlasts timeouts.stop by far.
async function takesLong() {
    const begin = Date.now();
    await until('it was polled a while later', async () =>
        Date.parse((await cesid.node('one')).last_refresh) > begin + 1000);
    assert.equal((await cesid.process('one', 'slow:slow')).state, 'STOPPING');
}

async function isRenewed(pid) {
    await until('it runs anew', async () => {
        const process = await cesid.process('one', 'slow:slow');
        return process.state === 'RUNNING' && process.pid !== pid;
    }, 20);
}

test('R6.4 update is brought to its end although its caller left and the stop took long', async () => {
    cesid.config = { timeouts: { stop: 0.5 } };
    cesid.configure();
    expectOk(await cesid.post('/system/reload'));
    const pid = await withStubborn();
    node.programs.slow = { ...stubborn, priority: 5 };
    node.configure();
    // A stop that outlasts timeouts.stop by far leaves nothing stopped, and is no failure.
    const caller = httpRequest(`${cesid.url}/api/v1/nodes/one/update`,
        { method: 'POST', headers: { Authorization: `Bearer ${cesid.token}` } });
    caller.on('error', () => {});
    caller.end();
    await cesid.processIs('one', 'slow:slow', 'STOPPING');
    caller.destroy();
    await takesLong();
    kill(pid);
    await isRenewed(pid);
});

test('a group that cannot be taken out keeps no other from its turn, and is named', async () => {
    const pid = await withStubborn();
    expectOk(await cesid.post('/nodes/one/processes/slow/stop', undefined,
        { headers: { Prefer: 'wait=0' } }), 202);
    await cesid.processIs('one', 'slow:slow', 'STOPPING');
    node.programs = { stays: sleep, fresh: sleep };
    node.configure();
    const problem = expectProblem(await cesid.post('/nodes/one/update'), 502, 'node_fault');
    assert.match(problem.detail, /^1 of 2 groups failed\. slow was stopped, and neither taken out/);
    assert.equal(problem.fault.name, 'STILL_RUNNING');
    await cesid.processIs('one', 'fresh:fresh', 'RUNNING');
    kill(pid);
    await cesid.processIs('one', 'slow:slow', 'STOPPED');
    expectOk(await cesid.post('/nodes/one/update'));
    await until('it is gone', async () => !(await ids('one')).includes('slow:slow'));
});

test('R2.5 R8.3 a cesid that is stopped brings an update to its end first', async () => {
    const pid = await withStubborn();
    node.programs.slow = { ...stubborn, priority: 7 };
    node.configure();
    const answer = cesid.post('/nodes/one/update');
    await cesid.processIs('one', 'slow:slow', 'STOPPING');
    cesid.signal('SIGTERM');
    await until('it is stopping', async () =>
        (await cesid.request('GET', '/readyz').catch(() => ({}))).status !== 200);
    kill(pid);
    assert.deepEqual(expectOk(await answer).changed, ['slow']);
    await cesid.stop();
    delete cesid.stopped;
    await cesid.start();
    await cesid.login();
    await isRenewed(pid);
});
