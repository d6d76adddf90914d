#!/usr/bin/env node
// What a request costs, and what of that is insight: the same requests to cesid as it is and to one
// without metrics and logging (build/bench/cesid-bare), in turns.
//
//   make bench-programs && node tests/bench/requests.mjs [--rounds=9] [--requests=4000] [--limit=1.1]
//
// Prints one JSON object. CPU is the server's own, of all its threads, from the scheduler's clock;
// the ratio is the median of the rounds' ratios, so that what else the machine does falls out. Above
// the limit, for the mix of all requests, it fails.
import { readFileSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { Cesid, binary } from '../e2e/lib/cesid.mjs';
import { Fakes } from '../e2e/lib/fake.mjs';
import { until } from '../e2e/lib/wait.mjs';
import { median, options, root } from './lib.mjs';

const { rounds = 9, requests = 4000, limit = Infinity } = options();
const connections = 4, together = 20;

// Seconds of CPU of all threads that live.
function spent(pid) {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum +
        Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e9;
}

// Sends a request so many times over a connection, some at once, and counts the answers.
function fire(port, head, times) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(port, '127.0.0.1');
        let sent = 0, answered = 0, rest = '';
        const more = () => {
            const count = Math.min(together, times - sent);
            sent += count;
            socket.write(head.repeat(count));
        };
        socket.setEncoding('latin1').on('data', (text) => {
            rest += text;
            const parts = rest.split('HTTP/1.1 200');
            answered += parts.length - 1;
            // What may still become a status line.
            rest = parts.at(-1).slice(-12);
            if (answered === times)
                socket.end();
            else if (answered === sent)
                more();
        });
        socket.on('error', reject);
        socket.on('close', () => (answered === times ? resolve()
            : reject(new Error(`${answered} answers to ${times} requests: ${rest}`))));
        more();
    });
}

async function measure(server, path) {
    const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n\r\n`;
    const before = spent(server.child.pid);
    const begin = performance.now();
    await Promise.all(Array.from({ length: connections }, () =>
        fire(server.port, head, requests / connections)));
    return { cpu: (spent(server.child.pid) - before) / requests,
        seconds: (performance.now() - begin) / 1000 };
}

const fakes = await new Fakes({ nodes: 50, processes: 20 }).start();

async function serve(program) {
    const server = new Cesid({ nodes: fakes.configs(), config: { refresh: { interval: 3600 } } });
    server.config.log = { file: join(server.directory, 'cesid.log') };
    server.program = program;
    await server.start();
    await server.login();
    await until('all are up', async () =>
        (await server.get('/nodes?state=up&limit=1')).total === fakes.nodes, 30);
    return server;
}

const whole = await serve(binary);
const bare = await serve(join(root, 'build/bench/cesid-bare'));
const paths = { healthz: '/healthz', node: `/api/v1/nodes/${fakes.name(7)}`,
    nodes: '/api/v1/nodes?limit=50', processes: '/api/v1/processes?limit=100' };
const result = { requests, rounds };
for (const [name, path] of Object.entries(paths)) {
    await Promise.all([measure(whole, path), measure(bare, path)]);
    const found = [];
    for (let i = 0; i < rounds; i++) {
        // In turns, and neither always first.
        const [first, second] = i % 2 ? [whole, bare] : [bare, whole];
        const one = await measure(first, path), two = await measure(second, path);
        const [with_, without] = first === whole ? [one, two] : [two, one];
        found.push({ cpu: with_.cpu, bare: without.cpu, ratio: with_.cpu / without.cpu,
            rate: requests / with_.seconds });
    }
    result[name] = {
        cpu_us: Number((median(found.map((each) => each.cpu)) * 1e6).toFixed(2)),
        bare_cpu_us: Number((median(found.map((each) => each.bare)) * 1e6).toFixed(2)),
        insight_ratio: Number(median(found.map((each) => each.ratio)).toFixed(3)),
        requests_a_second: Math.round(median(found.map((each) => each.rate))),
    };
}
// What a mix of them costs more: each as often as the others.
const sum = (key) => Object.keys(paths).reduce((total, name) => total + result[name][key], 0);
result.insight_ratio = Number((sum('cpu_us') / sum('bare_cpu_us')).toFixed(3));
await whole.stop();
await bare.stop();
await fakes.stop();
console.log(JSON.stringify(result));
if (result.insight_ratio > limit)
    process.exitCode = 1;
