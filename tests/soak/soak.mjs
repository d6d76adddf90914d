// The long run of tests/soak/run: a fleet under churn for so many seconds, cesid's memory,
// descriptors, threads and latency all the while, and a judgement at the end.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Cesid, nodeConfig } from '../e2e/lib/cesid.mjs';
import { Fakes } from '../e2e/lib/fake.mjs';
import { programs } from '../e2e/lib/fleet.mjs';
import { Supervisord } from '../e2e/lib/supervisord.mjs';
import { signal } from '../e2e/lib/system.mjs';
import { slow, sleep, until } from '../e2e/lib/wait.mjs';
import { plot } from './plot.mjs';

const seconds = Number(process.argv[2] ?? 240);
const out = join(resolve(dirname(fileURLToPath(import.meta.url)), '../..'), 'build/soak');
const many = 150;

const real = [
    new Supervisord({ name: 'real-1', username: 'ops', password: 'hush', programs: {
        ticker: programs.ticker, cat: programs.cat, fatal: programs.fatal,
        sturdy: programs.sturdy, sleeper: programs.sleeper } }),
    new Supervisord({ name: 'real-2', listener: 'unix', programs: {
        ticker: programs.ticker, sturdy: programs.sturdy, binary: programs.binary } }),
];
await Promise.all(real.map((node) => node.start()));
const fakes = await new Fakes({ nodes: many, processes: 10 }).start();
const everybody = [...real.map((node) => nodeConfig(node)), ...fakes.configs()];
const cesid = new Cesid({
    nodes: everybody,
    config: {
        server: { threads: 24, connections_per_address: 500 },
        auth: { login_attempts: 1000 },
        refresh: { interval: 1.0 }, operations: { history: 40 },
        timeouts: { connect: 1.0, refresh: 2.0, start: 3.0, stop: 3.0, restart: 5.0, batch: 5.0 },
        breaker: { failures: 3, open_min: 1.0, open_max: 3.0 },
        websocket: { clients: 60, queue: 64 }, log: { level: 'error' },
    },
});
await cesid.start();
await cesid.login();
await until('the fleet is up', async () =>
    (await cesid.get('/nodes?state=up&limit=1')).total === everybody.length, 30);

const end = performance.now() + seconds * 1000;
const going = () => performance.now() < end;
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const fake = () => fakes.name(Math.floor(Math.random() * many));
const counts = {}, failures = [];

// Does it again and again, with a pause, until the end. What must not happen is told.
async function again(name, pause, work) {
    counts[name] = 0;
    while (going()) {
        try {
            await work();
            counts[name]++;
        } catch (error) {
            failures.push(`${name}: ${error.message}`);
        }
        await sleep(pause * (0.5 + Math.random()));
    }
}

// Any answer but one of the server's own failures: nodes may be down, processes may run already.
async function fine(method, path, options) {
    const answer = await cesid.api(method, path, options);
    assert.ok(![500, 501].includes(answer.status) && answer.json?.code !== 'internal',
        `${method} ${path}: ${answer.status} ${answer.text.slice(0, 200)}`);
    return answer;
}

const latencies = [];
const samples = [];

function sample(from) {
    const status = readFileSync(`/proc/${cesid.child.pid}/status`, 'utf8');
    const value = (key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)[1]);
    const sorted = latencies.splice(0).sort((a, b) => a - b);
    samples.push({
        at: (performance.now() - from) / 1000, memory: value('VmRSS') / 1024,
        descriptors: readdirSync(`/proc/${cesid.child.pid}/fd`).length, threads: value('Threads'),
        p50: sorted[Math.floor(sorted.length / 2)] ?? NaN,
        p95: sorted[Math.floor(sorted.length * 0.95)] ?? NaN,
    });
}

const churn = [
    again('asked', 0.05, async () => {
        const begin = performance.now();
        const { status } = await fine('GET', pick(['/nodes?limit=50', '/processes?limit=50',
            `/nodes/${fake()}/processes`, '/processes/summary', '/health', '/environments']));
        assert.ok([200, 404].includes(status), `${status}`); // a node may be gone just now
        latencies.push(performance.now() - begin);
    }),
    again('acted', 0.1, () => fine('POST', `/nodes/${fake()}/processes/${
        `p000${Math.floor(Math.random() * 10)}`}/${pick(['start', 'stop', 'restart'])}`,
    { headers: { Prefer: 'wait=1' } })),
    again('acted on real ones', 0.5, () => fine('POST', `/nodes/${pick(real).name}/processes/sturdy/${
        pick(['restart', 'stop', 'start'])}`)),
    again('acted on many', 2, async () => {
        const { json } = await fine('POST', '/operations', { body: { action: 'restart',
            select: { nodes: [`n000${Math.floor(Math.random() * 10)}*`], processes: ['p0001:*'] } } });
        if (Math.random() < 0.3)
            await fine('DELETE', `/operations/${json.id}`);
    }),
    ...Array.from({ length: 4 }, (unused, i) => again(`sockets ${i}`, 0.1, async () => {
        const socket = await cesid.socket();
        socket.ws.send(JSON.stringify({ type: 'subscribe', topics: ['fleet', 'operations',
            `node:${fake()}`, 'log:real-1:ticker:ticker:stdout'] }));
        await sleep(Math.random());
        assert.equal(socket.fault, undefined);
        if (Math.random() < 0.5)
            socket.ws.terminate();
        else
            await socket.close();
    })),
    again('followed', 0.2, async () => {
        const curl = cesid.follow(pick(['/events?topics=fleet',
            '/nodes/real-1/processes/ticker/log/follow', '/nodes/real-2/processes/binary/log/follow']));
        await sleep(Math.random());
        curl.kill();
        await curl.exited;
    }),
    again('signed in and out', 0.5, async () => {
        const login = await fine('POST', '/auth/login', { token: null,
            body: { username: 'admin', password: pick([cesid.adminPassword, 'wrong']) } });
        if (login.status === 200)
            await fine('POST', '/auth/logout', { token: login.json.token });
    }),
    again('refused', 0.2, () => fine(pick(['GET', 'POST', 'PUT']), pick(['/nothing', '/nodes?limit=0',
        '/nodes/%00', '/processes?state=X']), { body: pick([undefined, '{', '{}']) })),
    again('nodes failed', 0.5, () => fakes.fault(String(Math.floor(Math.random() * many)),
        pick(['none', 'none', 'refuse', 'silent', 'reset', 'garbage', 'truncate', 'html', 'drip']))),
    again('nodes came back', 4, () => fakes.fault('*', 'none')),
    again('nodes restarted', 1, () => fakes.order(pick(['restart', 'drop']),
        String(Math.floor(Math.random() * many)))),
    again('processes died', 0.5, async () => {
        const process = await cesid.process('real-1', 'sturdy:sturdy').catch(() => undefined);
        if (process?.pid)
            signal(process.pid, 'SIGKILL');
    }),
    again('reloaded', 3, async () => {
        // Some of them are gone, and come back.
        cesid.nodes = everybody.filter((unused, i) => i < 3 || Math.random() < 0.9);
        cesid.configure();
        await fine('POST', '/system/reload');
    }),
    again('nodes of the store', 1, async () => {
        const name = `extra-${Math.floor(Math.random() * 5)}`;
        await fine('POST', '/nodes', { body: { name, environment: 'test',
            url: 'http://127.0.0.1:1/RPC2', password: 'x', username: 'y' } });
        await sleep(0.3);
        await fine('DELETE', `/nodes/${name}`);
    }),
    again('scraped', 1, () => cesid.request('GET', '/metrics', { token: null })),
    again('reopened', 5, async () => cesid.signal('SIGUSR1')),
];

const from = performance.now();
const pause = Math.max(0.5, seconds / 400);
while (going()) {
    await sleep(pause);
    sample(from);
}
await Promise.all(churn);

mkdirSync(out, { recursive: true });
const columns = ['at', 'memory', 'descriptors', 'threads', 'p50', 'p95'];
writeFileSync(join(out, 'soak.csv'), `${columns.join(',')}\n${samples.map((each) =>
    columns.map((key) => each[key].toFixed(3)).join(',')).join('\n')}\n`);
const curve = (key, name, unit) => ({ name, unit, values: samples.filter((each) =>
    !Number.isNaN(each[key])).map((each) => [each.at, each[key]]) });
writeFileSync(join(out, 'soak.svg'), plot(`cesid under churn for ${seconds} s`, [
    curve('memory', 'resident memory', 'MiB'), curve('descriptors', 'descriptors', ''),
    curve('threads', 'threads', ''), curve('p50', 'half of the answers within', 'ms'),
    curve('p95', '95 % of the answers within', 'ms')]));
console.log(counts);

// The last quarter against the second: the first is for caches and pools to fill.
function median(key, begin, finish) {
    const values = samples.filter((each) => each.at >= begin * seconds && each.at < finish * seconds)
        .map((each) => each[key]).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
    assert.ok(values.length > 0, key);
    return values[Math.floor(values.length / 2)];
}
let grown = 0;
for (const [key, factor, more] of [['memory', 1.1, 4], ['descriptors', 1.2, 20], ['threads', 1, 2],
    ['p50', 2, 20], ['p95', 2, 100]]) {
    const early = median(key, 0.25, 0.5), late = median(key, 0.75, 1);
    const limit = early * (key.startsWith('p') ? factor * slow : factor) + more;
    console.log(`${key.padEnd(12)} ${early.toFixed(1).padStart(9)} ${late.toFixed(1).padStart(9)}  ` +
        `${late > limit ? `GROWN: at most ${limit.toFixed(1)}` : 'flat'}`);
    grown += late > limit;
}

// With everybody gone, what they held is gone, too.
await fakes.fault('*', 'none');
const rest = everybody.length + 60;
await until('the descriptors are given back', () => {
    sample(from);
    const { descriptors } = samples.at(-1);
    if (descriptors > rest)
        throw new Error(`${descriptors} of them, at most ${rest}`);
    return true;
}, 20);
await cesid.stop();
await fakes.stop();
real.forEach((node) => node.child.kill());
if (failures.length > 0)
    console.log(`${failures.length} failures:\n${[...new Set(failures)].slice(0, 20).join('\n')}`);
process.exit(grown > 0 || failures.length > 0 ? 1 : 0);
