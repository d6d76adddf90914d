// What broke once, each told by what went wrong. A supervisord and a cesid for all of them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { scrape } from './lib/metrics.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until } from './lib/wait.mjs';

let node, cesid;
before(async () => {
    node = await new Supervisord({
        name: 'odd',
        programs: {
            silent: { command: '/bin/sleep 100000', stdout_logfile: 'NONE' },
            merged: { command: '/bin/sleep 100000', redirect_stderr: true },
            'back\\slash': {
                command: '/bin/sleep 100000', stdout_logfile: 'NONE', stderr_logfile: 'NONE',
            },
        },
    }).start();
    cesid = await new Cesid({
        nodes: [nodeConfig(node), nodeConfig(node, { name: 'off', enabled: false })],
    }).start();
    await cesid.login();
    await cesid.nodeIs('odd', 'up');
});
after(async () => {
    try {
        await cesid?.stop();
    } finally {
        node?.child?.kill();
    }
});

test('following a log that cannot be had was an endless silence, not an error', async () => {
    const follow = (name, process, stream) =>
        cesid.api('GET', `/nodes/${name}/processes/${process}/log/follow?stream=${stream}`);
    expectProblem(await follow('odd', 'silent', 'stdout'), 404, 'not_found');
    expectProblem(await follow('odd', 'merged', 'stderr'), 404, 'not_found');
    expectProblem(await follow('off', 'silent', 'stdout'), 409, 'conflict');
});

test('a log that is not kept was answered with a bare NO_FILE', async () => {
    const problem = expectProblem(
        await cesid.api('GET', '/nodes/odd/processes/silent/log?stream=stdout'), 404, 'not_found');
    assert.equal(problem.detail, 'supervisord keeps no such log (NO_FILE)');
    assert.equal(problem.fault.name, 'NO_FILE');
});

test('a process with a backslash in its name was seen in lists and nowhere else', async () => {
    const process = await cesid.process('odd', 'back\\slash');
    assert.equal(process.id, 'back\\slash:back\\slash');
    const answer = await cesid.post(`/nodes/odd/processes/${encodeURIComponent(process.id)}/stop`);
    assert.equal(answer.status, 200, answer.text);
});

test("supervisord's configuration was a list without pages", async () => {
    const names = [];
    for (let cursor = '', pages = 0; cursor !== null && pages < 10; pages++) {
        const page = await cesid.get(`/nodes/odd/config?limit=1${cursor && `&cursor=${cursor}`}`);
        assert.deepEqual([page.items.length, page.total], [1, 3]);
        names.push(page.items[0].name);
        cursor = page.next;
    }
    assert.deepEqual(names, ['back\\slash', 'merged', 'silent']);
});

test('a disabled node was a failed poll in each interval', async () => {
    const polls = async (result) => (await scrape(cesid)).value('cesid_refresh_total', { result });
    const before = await polls('ok');
    await until('the other node was polled', async () => await polls('ok') >= before + 3);
    assert.equal(await polls('conflict') ?? 0, 0);
});

test('a node that was disabled while it was diagnosed ended cesid', async () => {
    const fakes = await new Fakes({ nodes: 1, processes: 1 }).start();
    try {
        cesid.nodes.push(...fakes.configs());
        const reload = async () => {
            cesid.configure();
            expectOk(await cesid.post('/system/reload'));
        };
        await reload();
        await cesid.nodeIs(fakes.name(0), 'up');
        await fakes.fault('0', 'delay', '0.5', 'method=supervisor.getSupervisorVersion');
        const diagnosis = cesid.post(`/nodes/${fakes.name(0)}/check`);
        await until('it is asked', async () => (await fakes.order('stats')).calls[
            'supervisor.getSupervisorVersion'] >= 2);
        cesid.nodes.at(-1).enabled = false;
        await reload();
        expectOk(await diagnosis);
    } finally {
        await fakes.stop();
    }
});
