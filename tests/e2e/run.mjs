// Runs test files: node tests/e2e/run.mjs [FILE...]. Without files: all of tests/e2e. Exits 1 when
// one failed. CESID_TEST_JOBS is how many files run at a time (default 2).
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import report from './report.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const slow = Number(process.env.CESID_TEST_SLOW ?? 1);
let files = process.argv.slice(2).map((file) => resolve(file));
if (files.length === 0)
    files = readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort()
        .map((name) => join(here, name));

const stream = run({
    files,
    concurrency: Number(process.env.CESID_TEST_JOBS ?? 2),
    timeout: 120_000 * slow,
});
stream.on('test:fail', () => { process.exitCode = 1; });
stream.compose(report).pipe(process.stdout);
