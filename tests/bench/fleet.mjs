#!/usr/bin/env node
// The cost of watching a fleet: CPU, bytes, memory and lag with 1,000, 5,000 and 10,000 fake nodes of
// 20 processes. Run by hand on a machine with little else to do:
//
//   make all fake && node tests/bench/fleet.mjs [NODES...] [--seconds=30] [--interval=5] [--hang=20]
//       [--tcp=28000]
//
// Prints JSON, a run each. CPU is cesid's own, from /proc; lag is what the fakes saw between two
// polls of a node. --hang lets that many percent of the nodes hang after the quiet run and measures
// the rest again, with an operator's start on a healthy node meanwhile.
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { Cesid } from '../e2e/lib/cesid.mjs';
import { Fakes } from '../e2e/lib/fake.mjs';
import { sleep, until } from '../e2e/lib/wait.mjs';

const options = Object.fromEntries(process.argv.slice(2).filter((word) => word.startsWith('--'))
    .map((word) => word.slice(2).split('=')));
const sizes = process.argv.slice(2).filter((word) => !word.startsWith('--')).map(Number);
const seconds = Number(options.seconds ?? 30);
const interval = Number(options.interval ?? 5);
const processes = 20;
const ticks = Number(execFileSync('getconf', ['CLK_TCK']));
const polls = 'supervisor.getAllProcessInfo';

function used(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return { user: Number(fields[11]) / ticks, system: Number(fields[12]) / ticks };
}

function memory(pid, key) {
    return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(
        readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

// Several fake programs, of 4,000 nodes at most: each node takes two descriptors.
class Herd {
    static async start(nodes) {
        const herd = new Herd();
        const count = Math.ceil(nodes / 4000);
        const each = Math.ceil(nodes / count);
        herd.parts = await Promise.all(Array.from({ length: count }, (unused, i) => new Fakes({
            nodes: Math.min(each, nodes - i * each), processes, names: i * each,
            tcp: options.tcp ? { first: Number(options.tcp) + i * 100, count: 100 } : undefined,
        }).start()));
        return herd;
    }

    get configs() {
        return this.parts.flatMap((part) => part.configs());
    }

    async all(order) {
        return await Promise.all(this.parts.map(order));
    }

    async stats() {
        const stats = await this.all((part) => part.order('stats'));
        const sum = (key) => stats.reduce((total, one) => total + key(one), 0);
        return { polls: sum((one) => one.calls[polls] ?? 0), accepted: sum((one) => one.accepted),
            bytes: sum((one) => one.received + one.sent),
            max_in_flight: sum((one) => one.max_in_flight),
            max_accepts_per_second: sum((one) => one.max_accepts_per_second) };
    }

    // The worst of the parts, from a share of each part's nodes on.
    async lag(from = 0) {
        const found = await this.all((part) =>
            part.order('lag', `${Math.floor(part.nodes * from)}-${part.nodes - 1}`));
        return Object.fromEntries(['p50', 'p99', 'max', 'longest_silence'].map((key) =>
            [key, Math.max(...found.map((one) => one[key]))]));
    }

    get cpu() {
        return this.parts.map((part) => used(part.child.pid))
            .reduce((total, one) => total + one.user + one.system, 0);
    }
}

// What cesid spent and the fakes saw within `seconds`; the lag is that of nodes
// from a share of each part on.
async function measure(cesid, herd, from) {
    const { pid } = cesid.child;
    await herd.all((part) => part.order('reset'));
    const before = used(pid);
    const fakeBefore = herd.cpu;
    const begin = performance.now();
    await sleep(seconds);
    const after = used(pid);
    const fakeAfter = herd.cpu;
    const took = (performance.now() - begin) / 1000;
    const stats = await herd.stats();
    const cpu = after.user + after.system - before.user - before.system;
    const done = stats.polls;
    return {
        seconds: Number(took.toFixed(2)),
        polls: done,
        polls_per_second: Math.round(done / took),
        cpu_us_per_poll: Number((cpu / done * 1e6).toFixed(1)),
        bytes_per_poll: Math.round(stats.bytes / done),
        cores: Number((cpu / took).toFixed(4)),
        user_share: Number(((after.user - before.user) / cpu).toFixed(2)),
        polls_per_second_of_one_core: Math.round(done / cpu),
        resident_mib: Math.round(memory(pid, 'VmRSS')),
        resident_peak_mib: Math.round(memory(pid, 'VmHWM')),
        lag: await herd.lag(from),
        connections_made: stats.accepted,
        max_in_flight: stats.max_in_flight,
        fake_cores: Number(((fakeAfter - fakeBefore) / took).toFixed(4)),
    };
}

async function run(nodes) {
    const herd = await Herd.start(nodes);
    const cesid = new Cesid({
        nodes: herd.configs,
        config: { refresh: { interval }, log: { level: 'warning' } },
    });
    const begin = performance.now();
    await cesid.start();
    await cesid.login();
    const ready = (performance.now() - begin) / 1000;
    await until('all nodes are up', async () =>
        (await cesid.get('/nodes?state=up&limit=1')).total === nodes, 120);
    const up = (performance.now() - begin) / 1000;
    const { max_in_flight: inFlight, max_accepts_per_second: accepts } =
        await herd.stats();
    await sleep(interval);
    const result = {
        nodes, processes: nodes * processes, interval, over: options.tcp ? 'tcp' : 'unix',
        start: {
            ready_seconds: Number(ready.toFixed(2)), all_up_seconds: Number(up.toFixed(2)),
            max_in_flight: inFlight, max_accepts_per_second: accepts,
        },
        quiet: await measure(cesid, herd, 0),
    };
    const call = async (path) => {
        const from = performance.now();
        await cesid.get(path);
        return Number((performance.now() - from).toFixed(1));
    };
    result.api_ms = { processes: await call('/processes?limit=1000'),
        nodes: await call('/nodes?limit=1000') };
    if (options.hang) {
        const share = Number(options.hang) / 100;
        const last = herd.parts.at(-1);
        const startOne = async () => {
            const name = last.name(last.nodes - 1);
            await last.order('state', last.nodes - 1, 'p0000:*', 'STOPPED');
            const from = performance.now();
            const answer = await cesid.post(`/nodes/${name}/processes/p0000/start`);
            return { status: answer.status, ms: Number((performance.now() - from).toFixed(1)) };
        };
        const before = await startOne();
        await herd.all((part) =>
            part.fault(`0-${Math.floor(part.nodes * share) - 1}`, 'silent'));
        const measuring = measure(cesid, herd, share);
        await sleep(interval);
        const during = await startOne();
        result.hang = { percent: Number(options.hang), ...await measuring,
            start_before: before, start_during: during,
            down: (await cesid.get('/nodes?state=down&limit=1')).total };
        result.hang.lag_p99_ratio =
            Number((result.hang.lag.p99 / result.quiet.lag.p99).toFixed(3));
    }
    result.stop_seconds = Number((await cesid.stop()).toFixed(2));
    await herd.all((part) => part.stop());
    return result;
}

for (const nodes of sizes.length > 0 ? sizes : [1000, 5000, 10000])
    console.log(JSON.stringify(await run(nodes), null, 2));
