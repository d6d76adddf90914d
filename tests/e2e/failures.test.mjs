// What breaks is seen, named, and nobody else's problem.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { gone, signal } from './lib/system.mjs';
import { slow, until } from './lib/wait.mjs';

const interval = 1.0;
const pause = 2.0; // for so long a busy machine may stand still
let fleet, cesid;
before(async () => {
    fleet = await Fleet.start({
        config: {
            refresh: { interval },
            timeouts: { connect: 1.0, refresh: 1.5, start: 3.0, stop: 3.0, log: 2.0, config: 2.0 },
            breaker: { failures: 3, open_min: 1.0, open_max: 2.0 },
        },
    });
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

test('R2.1 a process killed with kill -9 shows in the API and on an open WebSocket within one interval',
    async () => {
        const socket = await cesid.socket();
        const snapshot = await socket.subscribe('fleet');
        assert.equal(snapshot.data.totals.nodes.up, 3);
        const { pid } = await cesid.process('alpha', 'sleeper');
        const from = socket.mark;
        const begin = performance.now();
        signal(pid, 'SIGKILL');
        const message = await socket.next('the death', (m) => m.type === 'process' &&
            m.data.id === 'sleeper:sleeper' && m.data.state === 'EXITED', { from });
        const took = (performance.now() - begin) / 1000;
        // The interval, its jitter, supervisord's own second to notice, and what the machine may pause.
        assert.ok(took < interval * 1.25 + 1.2 * slow + pause, `${took} s`);
        assert.equal(message.data.node, 'alpha');
        assert.equal(message.data.previous?.state ?? message.data.previous, 'RUNNING');
        const shown = await cesid.process('alpha', 'sleeper');
        assert.equal(shown.state, 'EXITED');
        assert.equal(shown.revision, message.data.revision);

        // One that comes back by itself has another pid afterwards.
        const sturdy = await cesid.process('alpha', 'sturdy');
        signal(sturdy.pid, 'SIGKILL');
        await until('sturdy is back', async () => {
            const now = await cesid.process('alpha', 'sturdy');
            return now.state === 'RUNNING' && now.pid !== sturdy.pid;
        });

        expectOk(await cesid.post('/nodes/alpha/processes/sleeper/restart'));
        await socket.next('the restart', (m) => m.type === 'process' &&
            m.data.id === 'sleeper:sleeper' && m.data.state === 'RUNNING',
        { from: socket.messages.indexOf(message) });
        await socket.close();
    });

test('a stopped supervisord is down, refused; its return is seen', async () => {
    const socket = await cesid.socket();
    await socket.subscribe('fleet');
    const from = socket.mark;
    await fleet.gamma.stop();
    const message = await socket.next('gamma down', (m) => m.type === 'node' &&
        m.data.name === 'gamma' && m.data.state === 'down' && m.data.cause === 'refused', { from });
    const node = await cesid.node('gamma');
    assert.equal(node.state, 'down');
    assert.equal(node.cause, 'refused');
    assert.ok(node.hint.length > 10);
    const check = expectOk(await cesid.post('/nodes/gamma/check'));
    assert.equal(check.ok, false);
    assert.equal(check.cause, 'refused');
    expectProblem(await cesid.post('/nodes/gamma/processes/lone/restart?force=true'),
        502, 'node_unreachable');
    await fleet.gamma.start();
    await cesid.nodeIs('gamma', 'up', 15);
    await socket.next('gamma up', (m) => m.type === 'node' && m.data.name === 'gamma' &&
        m.data.state === 'up', { from: socket.messages.indexOf(message) });
    await socket.close();
});

test('the socket of a stopped unix node is refused or unreachable, and heals', async () => {
    await fleet.beta.stop();
    await until('beta is down', async () =>
        ['refused', 'unreachable'].includes((await cesid.nodeIs('beta', 'down')).cause));
    await fleet.beta.start();
    await cesid.nodeIs('beta', 'up', 15);
});

test('R6.3 failures open the breaker; the cause stays what it is', async () => {
    await fleet.gamma.stop();
    const node = await until('the breaker is open', async () => {
        const now = await cesid.node('gamma');
        return now.breaker.state === 'open' && now;
    }, 15);
    assert.equal(node.cause, 'refused');
    assert.ok(node.breaker.failures >= 3);
    assert.ok(node.breaker.retry_at);
    const answer = await cesid.post('/nodes/gamma/processes/lone/restart');
    if (answer.status !== 502)
        expectProblem(answer, 503, 'node_circuit_open');
    await fleet.gamma.start();
    const up = await cesid.nodeIs('gamma', 'up', 15);
    assert.equal(up.breaker.state, 'closed');
});

test('R6.2 R8.5 a node that hangs is down, timeout, and delays no other', async () => {
    await cesid.nodeIs('alpha', 'up');
    fleet.alpha.hang();
    try {
        const node = await cesid.nodeIs('alpha', 'down', 15);
        assert.equal(node.cause, 'timeout');
        // Meanwhile the others are refreshed as ever, and read and act as ever. Each time alpha is
        // waited for would cost 1.5 s.
        let begin = performance.now();
        for (let i = 0; i < 3; i++) {
            const before = await cesid.node('gamma');
            await until('gamma is refreshed', async () =>
                (await cesid.node('gamma')).last_refresh > before.last_refresh);
        }
        const refreshed = (performance.now() - begin) / 1000;
        assert.ok(refreshed < (3 * interval * 1.25 + pause) * slow, `${refreshed} s`);
        begin = performance.now();
        for (let i = 0; i < 5; i++)
            await cesid.get('/processes');
        assert.ok(performance.now() - begin < (500 + pause * 1000) * slow);
        begin = performance.now();
        expectOk(await cesid.post('/nodes/gamma/processes/lone/restart'));
        assert.ok(performance.now() - begin < 3000 * slow);
        // An action on the hung one ends by its timeout.
        begin = performance.now();
        const answer = await cesid.post('/nodes/alpha/processes/idle/start?force=true');
        expectProblem(answer, 504, answer.json.code);
        assert.ok(['node_timeout', 'operation_timeout'].includes(answer.json.code), answer.text);
        assert.ok(performance.now() - begin < 8000 * slow);
        const log = await cesid.api('GET', '/nodes/alpha/processes/ticker/log');
        assert.ok([503, 504].includes(log.status), log.text);
    } finally {
        fleet.alpha.resume();
    }
    await cesid.nodeIs('alpha', 'up', 15);
});

test('every wrong sort of node has its own cause, all side by side', async () => {
    const wrong = new Supervisord({ name: 'wrong', username: 'ops', password: 'right' });
    await wrong.start();
    const { createServer } = await import('node:http');
    const strange = createServer((call, reply) => reply.end('<html>hello</html>'));
    await new Promise((resolve) => strange.listen(0, '127.0.0.1', resolve));
    const other = new Cesid({
        nodes: [
            nodeConfig(fleet.gamma),
            nodeConfig(wrong, { name: 'wrong-password', password: 'wrong' }),
            { name: 'no-password', environment: 'test', url: wrong.url },
            { name: 'refused', environment: 'test', url: 'http://127.0.0.1:9/RPC2' },
            { name: 'no-name', environment: 'test', url: 'http://no-such-host.invalid:9001/RPC2' },
            { name: 'no-socket', environment: 'test', url: 'unix:///nonexistent/socket' },
            { name: 'strange', environment: 'test',
                url: `http://127.0.0.1:${strange.address().port}/RPC2` },
            { name: 'off', environment: 'test', url: wrong.url, enabled: false },
        ],
        config: { timeouts: { connect: 1.0, refresh: 2.0 } },
    });
    await other.start();
    await other.login();
    await other.nodeIs('gamma', 'up');
    const cause = async (name, ...causes) => await until(`${name} is down as it should`, async () => {
        const node = await other.nodeIs(name, 'down', 15);
        assert.ok(causes.includes(node.cause), node.cause);
        assert.ok(node.hint.length > 10);
        return true;
    }, 15);
    await cause('wrong-password', 'unauthorized');
    await cause('no-password', 'unauthorized');
    await cause('refused', 'refused');
    await cause('no-name', 'dns', 'timeout');
    await cause('no-socket', 'refused', 'unreachable');
    await cause('strange', 'protocol', 'no_rpc_interface');
    assert.equal((await other.node('off')).state, 'disabled');
    await other.nodeIs('gamma', 'up');
    expectProblem(await other.post('/nodes/wrong-password/processes/x/start?force=true'), 502,
        'node_unauthorized');
    await other.stop();
    strange.close();
    await wrong.stop();
});

test('R2.2 many checks of one node at once agree', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (unused, i) =>
        cesid.post(i % 2 ? '/nodes/gamma/check' : '/nodes/gamma/refresh')));
    for (const answer of answers)
        assert.ok(answer.status < 300, answer.text);
    const node = await cesid.node('gamma');
    assert.equal(node.state, 'up');
    assert.equal(node.breaker.failures, 0);
});

test('R7.4 R10.2 a failure is in the log with the request that met it', async () => {
    const id = 'story-of-a-failure';
    expectProblem(await cesid.post('/nodes/alpha/processes/fatal/start', undefined,
        { headers: { 'X-Request-ID': id } }), 502, 'node_fault');
    await until('the log names it', () => cesid.log.split('\n').some((line) =>
        line.includes(id) && line.includes('alpha')));
});

test('a supervisord that dies hard and its port taken by silence', async () => {
    const { child } = fleet.gamma;
    child.kill();
    await child.exited;
    await gone(child.pid);
    await cesid.nodeIs('gamma', 'down');
    await fleet.gamma.start();
    await cesid.nodeIs('gamma', 'up', 15);
});
