// A name server that takes questions and never answers: nodes that need it are down for a reason,
// and neither the others nor the end of cesid wait for it.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { test } from 'node:test';
import { binary, Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectProblem } from './lib/http.mjs';
import { slow, until } from './lib/wait.mjs';

const address = '127.77.77.77';
const possible = process.getuid() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0;

// cesid in a mount namespace of its own, where that server is the only one.
function withResolver(cesid) {
    const conf = join(cesid.directory, 'resolv.conf');
    const program = join(cesid.directory, 'cesid');
    writeFileSync(conf, `nameserver ${address}\noptions timeout:30 attempts:3\n`);
    writeFileSync(program, `#!/bin/sh
exec unshare --mount sh -c 'mount --bind ${conf} /etc/resolv.conf && exec ${binary} "$@"' cesid "$@"
`);
    chmodSync(program, 0o755);
    cesid.program = program;
}

test('R6.2 R8.1 a name server that never answers holds up neither other nodes nor the end',
    { skip: !possible && 'needs root and mount namespaces' }, async () => {
        let questions = 0;
        const server = createSocket('udp4', () => { questions++; });
        await new Promise((resolve, reject) => {
            server.once('error', reject);
            server.bind(53, address, resolve);
        });
        const fakes = await new Fakes({ nodes: 20, processes: 2 }).start();
        const lost = Array.from({ length: 20 }, (unused, i) => ({ name: `lost-${i}`,
            environment: 'test', url: `http://lost-${i}.example:9001/RPC2` }));
        const cesid = new Cesid({
            nodes: [...fakes.configs(), ...lost],
            config: {
                refresh: { interval: 0.5, connections: 16 },
                timeouts: { connect: 1.0, refresh: 2.0 },
                breaker: { failures: 1000 },
            },
        });
        withResolver(cesid);
        try {
            await cesid.start();
            await cesid.login();
            await until('the well ones are up and the lost ones down', async () =>
                (await cesid.get('/nodes?state=up')).total === 20 &&
                (await cesid.get('/nodes?state=down')).total === 20, 40);
            assert.ok(questions >= 20, `${questions} questions`);
            for (const { cause, hint } of (await cesid.get('/nodes?state=down')).items) {
                assert.match(cause, /^(dns|timeout)$/);
                assert.ok(hint);
            }
            // As often as ever: each of the well ones is polled twice a second.
            await fakes.order('reset');
            const begin = performance.now();
            await until('polls of the well ones', async () =>
                ((await fakes.order('stats')).calls['supervisor.getAllProcessInfo'] ?? 0) >= 20 * 5);
            const seconds = (performance.now() - begin) / 1000;
            assert.ok(seconds < 5 * 0.5 + 4 * slow, `${seconds} s for five polls of each`);
            const tried = performance.now();
            expectProblem(await cesid.post('/nodes/lost-0/processes/a:b/start'), 502,
                'node_unreachable');
            assert.ok(performance.now() - tried < 8000 * slow);
            assert.ok(await cesid.stop() < 3 * slow, 'it ends at once');
        } finally {
            cesid.child?.kill();
            await fakes.stop();
            server.close();
        }
    });
