#!/usr/bin/env node
// How quickly the hub tells its clients, and what that is worth to the healthy ones when a tenth of
// all read nothing: build/bench/hub without and with stalled clients, in turns.
//
//   make bench-programs && node tests/bench/hub.mjs [CLIENTS...] [--pairs=5] [--stalled=10] [--limit=1.1]
//
// Prints one JSON object: medians of the runs, and the ratio of the median p99, stalled to quiet.
// Above the limit it fails.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { median, options, root } from './lib.mjs';

const { pairs = 5, stalled = 10, limit = Infinity } = options();
const sizes = process.argv.slice(2).filter((word) => !word.startsWith('--')).map(Number);

function run(clients, percent) {
    const rounds = clients > 5000 ? 50 : 100;
    return JSON.parse(execFileSync(join(root, 'build/bench/hub'), [clients, percent, rounds].map(String),
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
}

function medians(runs) {
    const keys = Object.keys(runs[0]).filter((key) => !['clients', 'rounds', 'stalled'].includes(key));
    return Object.fromEntries(keys.map((key) => [key, median(runs.map((one) => one[key]))]));
}

const result = {};
for (const clients of sizes.length > 0 ? sizes : [500, 2000, 10000]) {
    const quiet = [], some = [];
    for (let i = 0; i < pairs; i++) {
        quiet.push(run(clients, 0));
        some.push(run(clients, stalled));
    }
    const one = { quiet: medians(quiet), stalled: medians(some) };
    one.p99_ratio = Number((one.stalled.p99_ms / one.quiet.p99_ms).toFixed(2));
    result[`clients_${clients}`] = one;
}
console.log(JSON.stringify(result, null, 2));
if (Object.values(result).some((one) => one.p99_ratio > limit)) {
    console.error(`above the limit of ${limit}`);
    process.exitCode = 1;
}
