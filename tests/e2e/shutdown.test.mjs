// The end: soon, clean and announced.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { Fleet } from './lib/fleet.mjs';
import { expectProblem } from './lib/http.mjs';
import { slow, sleep, until, within } from './lib/wait.mjs';

let fleet;
before(async () => { fleet = await Fleet.start(); });
after(() => fleet?.stop());

const watch = (config = {}) => new Cesid({
    config, nodes: [nodeConfig(fleet.alpha), nodeConfig(fleet.beta), nodeConfig(fleet.gamma)],
});

test('R8.1 R8.3 SIGTERM with sockets, followers and reads under way: exit 0 in under 3 seconds',
    async () => {
        const cesid = await watch().start();
        await cesid.login();
        await cesid.nodeIs('alpha', 'up');
        await cesid.nodeIs('beta', 'up');
        const sockets = await Promise.all(Array.from({ length: 12 }, () => cesid.socket()));
        await Promise.all(sockets.map((socket) => socket.subscribe('fleet', 'operations',
            'log:beta:ticker:ticker:stdout')));
        const followers = Array.from({ length: 4 }, () =>
            cesid.follow('/nodes/alpha/processes/ticker/log/follow'));
        const events = cesid.follow('/events?topics=fleet');
        await until('everybody is served', () =>
            [...followers, events].every((curl) => curl.stdout !== ''));
        let reading = true;
        const answers = [];
        const readers = Array.from({ length: 4 }, async () => {
            while (reading)
                answers.push(await cesid.api('GET', '/processes').catch((error) => error));
        });
        await sleep(0.3);

        const took = await cesid.stop();
        reading = false;
        assert.ok(took < 3 * slow, `${took} s`);
        for (const socket of sockets) {
            const { code } = await within('the close', socket.closed);
            assert.equal(socket.messages.at(-1).type, 'bye');
            assert.equal(code, 1001);
            assert.equal(socket.fault, undefined);
        }
        await Promise.all([...followers, events].map((curl) => within('curl ends', curl.exited)));
        await Promise.all(readers);
        assert.ok(answers.length > 0);
        for (const answer of answers) {
            if (answer instanceof Error)
                assert.match(answer.code ?? '', /ECONN|EPIPE/, answer.message);
            else if (answer.status !== 200)
                expectProblem(answer, 503, 'shutting_down');
        }
    });

test('R2.5 an action under way is waited for', async () => {
    const cesid = await watch().start();
    await cesid.login();
    await cesid.nodeIs('alpha', 'up');
    // Three seconds until supervisord calls it started.
    const started = cesid.post('/nodes/alpha/processes/slow/start', undefined,
        { headers: { Prefer: 'wait=30' } });
    await cesid.processIs('alpha', 'slow', 'STARTING');
    const took = await cesid.stop();
    assert.ok(took < 8 * slow, `${took} s`);
    const answer = await started;
    assert.ok([200, 202, 503].includes(answer.status), answer.text);
    assert.doesNotMatch(cesid.log, /interrupted/);
});

test('a hung node holds up the end for timeouts.shutdown at most', async () => {
    const cesid = await watch({ timeouts: { shutdown: 1.0 } }).start();
    await cesid.login();
    await cesid.nodeIs('gamma', 'up');
    fleet.gamma.hang();
    try {
        const action = cesid.post('/nodes/gamma/processes/lone/restart', undefined,
            { headers: { Prefer: 'wait=60' } }).catch((error) => error);
        await sleep(0.5);
        const took = await cesid.stop();
        assert.ok(took < (1 + 3) * slow, `${took} s`);
        const answer = await action;
        assert.ok(answer instanceof Error || answer.status >= 202, answer.text);
    } finally {
        fleet.gamma.resume();
    }
});

test('SIGINT is as good, a second signal does no harm, and a stop before readiness neither',
    async () => {
        const cesid = await watch().start();
        cesid.signal('SIGINT');
        cesid.signal('SIGTERM');
        const { code } = await within('the end', cesid.child.exited, 10);
        assert.equal(code, 0, cesid.log);

        const early = watch();
        const starting = early.start().catch(() => {});
        await until('it heeds signals', () => {
            const status = readFileSync(`/proc/${early.child.pid}/status`, 'utf8');
            const blocked = BigInt(`0x${/^SigBlk:\s*(\w+)/m.exec(status)[1]}`);
            return (blocked >> 14n) & 1n; // SIGTERM, which it takes when it comes to that
        });
        assert.ok(await early.stop() < 5 * slow);
        await starting;
    });
