// What broke once, each told by what went wrong. A supervisord and a cesid for all of them.
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { expectProblem } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';

let node, cesid;
before(async () => {
    node = await new Supervisord({
        name: 'odd',
        programs: {
            silent: { command: '/bin/sleep 100000', stdout_logfile: 'NONE' },
            merged: { command: '/bin/sleep 100000', redirect_stderr: true },
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
