#!/usr/bin/env node
// Runs the benchmarks, prints one table and one JSON object, and compares with the last run on this
// machine by ratio. That one is kept in build/bench/results.json, outside git: figures of different
// machines say nothing about each other.
//
//   make bench                         all of them, some two minutes
//   node tests/bench/run.mjs NAME...   some: requests, fleet, hub
//   --last=FILE                        compare with that run instead
//
// Above 1 is worse, whichever way the figure itself counts. Other load moves everything by 30 %; a
// ratio within one run (insight_ratio) moves little.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { options, root } from './lib.mjs';

const kept = join(root, 'build/bench/results.json');
const { last = kept } = options();
const only = process.argv.slice(2).filter((word) => !word.startsWith('--'));

const benches = {
    requests: ['node', ['tests/bench/requests.mjs']],
    fleet: ['node', ['tests/bench/fleet.mjs', '1000', '--seconds=15']],
    hub: ['node', ['tests/bench/hub.mjs', '500', '--pairs=3']],
};
// Of all that is measured, what is worth a line: more of these is better, less of all others.
const better = /per_second|a_second/;
const left = /^(requests\.(requests|rounds)|fleet\.(nodes|processes|interval|over))$|\.(seconds|polls|user_share|connections_made|max_in_flight|max_accepts_per_second|fake_cores)$/;

// { "a.b": number } of nested objects.
function flatten(value, name) {
    if (typeof value === 'number')
        return left.test(name) ? [] : [[name, value]];
    if (value === null || typeof value !== 'object')
        return [];
    return Object.entries(value).flatMap(([key, inner]) => flatten(inner, `${name}.${key}`));
}

function run(name) {
    const [program, args] = benches[name];
    // A test runner's summary may follow.
    const output = execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    const text = output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1);
    return Object.fromEntries(flatten(JSON.parse(text), name));
}

const result = {
    at: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    revision: execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root, encoding: 'utf8' })
        .trim(),
    load_before: Number(loadavg()[0].toFixed(2)),
    figures: {},
};
for (const name of only.length > 0 ? only : Object.keys(benches)) {
    if (!benches[name])
        throw new Error(`no benchmark ${name}: ${Object.keys(benches).join(', ')}`);
    Object.assign(result.figures, run(name));
}

const before = existsSync(last) ? JSON.parse(readFileSync(last, 'utf8')) : undefined;
const comparable = before?.machine === result.machine;
console.log(`${result.machine}, load ${result.load_before} before; ` + (comparable
    ? `compared with ${before.revision} of ${before.at}` : 'nothing to compare with'));
const width = Math.max(...Object.keys(result.figures).map((name) => name.length));
for (const [name, value] of Object.entries(result.figures)) {
    const old = comparable ? before.figures[name] : undefined;
    const ratio = old > 0 && value > 0 ? (better.test(name) ? old / value : value / old) : undefined;
    console.log(`${name.padEnd(width)} ${String(value).padStart(12)} ` +
        (ratio === undefined ? '' : `${String(old).padStart(12)} ${ratio.toFixed(2).padStart(6)}` +
            (ratio > 1.3 ? '  worse' : '')));
}
console.log(JSON.stringify(result));
mkdirSync(join(root, 'build/bench'), { recursive: true });
writeFileSync(kept, `${JSON.stringify({ ...result,
    figures: { ...(comparable ? before.figures : {}), ...result.figures } }, null, 2)}\n`);
