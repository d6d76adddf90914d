// Clients whose packets vanish: no FIN, no reset, no answer. Played in a network namespace of its
// own, where packets can be dropped without asking the machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid } from './lib/cesid.mjs';
import { Child, runToEnd } from './lib/system.mjs';
import { until, within } from './lib/wait.mjs';

const self = fileURLToPath(import.meta.url);
const isRoot = process.getuid() === 0;
const unshare = [...(isRoot ? [] : ['--user', '--map-root-user']), '--net'];

async function refusal() {
    const { code, stderr } = await runToEnd('unshare', [...unshare, 'true']);
    return code === 0 ? false : `no network namespace may be made here: ${stderr.trim()}`;
}

// The packets of these clients' connections, in both directions.
function drop(ports) {
    for (const [chain, side] of [['INPUT', '--sports'], ['OUTPUT', '--dports']])
        execFileSync('iptables', ['-A', chain, '-p', 'tcp', '-m', 'multiport', side,
            ports.join(','), '-j', 'DROP']);
}

async function story() {
    const cesid = await new Cesid({
        config: { websocket: { ping_interval: 0.5, idle_timeout: 3.0, queue: 16 } },
    }).start();
    const status = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(
        readFileSync(`/proc/${cesid.child.pid}/status`, 'utf8'))[1]);
    const files = () => readdirSync(`/proc/${cesid.child.pid}/fd`).length;
    let told = 0;
    const change = async (socket) => {
        const name = `n${++told}`;
        const from = socket.mark;
        assert.equal((await cesid.post('/nodes', { name, environment: 'e',
            url: 'http://127.0.0.1:1/RPC2', enabled: false })).status, 201);
        assert.equal((await cesid.api('DELETE', `/nodes/${name}`)).status, 204);
        await socket.next('the change', (m) => m.type === 'node_removed' && m.data.name === name,
            { from });
    };
    const inUse = async () => (await cesid.get('/system')).queues;

    await cesid.login();
    const healthy = await cesid.socket();
    await healthy.subscribe('fleet');
    await change(healthy);
    const before = { files: files(), threads: status('Threads') };
    const lost = await Promise.all(Array.from({ length: 12 }, () => cesid.socket()));
    await Promise.all(lost.map((socket) => socket.subscribe('fleet')));
    const streams = [1, 2, 3].map((i) => cesid.follow('/events?topics=fleet',
        '--local-port', `2000${i}`));
    await until('the streams run', () => streams.every(({ stdout }) => /snapshot/.test(stdout)));
    assert.equal((await inUse()).hub.clients, 16);

    drop([...lost.map(({ ws }) => ws._socket.localPort), 20001, 20002, 20003]);
    const seen = lost.map((socket) => socket.mark);
    await until('they are found', async () => {
        await change(healthy); // without a gap, and told at once
        const { hub, http } = await inUse();
        assert.deepEqual([hub.clients, http.websockets, http.streams], [1, 1, 0]);
        return true;
    }, 30);
    assert.deepEqual(lost.map((socket) => socket.mark), seen, 'their packets were not dropped');
    assert.ok(told > 5);
    await until('all is given back', () =>
        status('Threads') <= before.threads && files() <= before.files + 4);
    await healthy.close();
    await cesid.stop();
}

const title = 'R1.3 R8.2 clients whose packets are dropped are found and freed';
if (process.env.CESID_TEST_NAMESPACE) {
    test(title, story);
    after(() => setTimeout(() => process.exit(), 1000)); // past what holds dead connections
} else
    test(title, { skip: await refusal() }, async () => {
        const child = new Child('unshare', [...unshare, 'sh', '-c',
            'ip link set lo up && exec "$0" "$1"', process.execPath, self],
        { env: { ...process.env, CESID_TEST_NAMESPACE: '1', NODE_TEST_CONTEXT: '' } });
        const { code } = await within(() => `the end of it: ${child.stdout}`, child.exited, 90);
        assert.equal(code, 0, child.stdout + child.stderr);
    });
