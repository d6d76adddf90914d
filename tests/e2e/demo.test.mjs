// scripts/demo, as somebody new meets it. It runs what `make` has built.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Child, runToEnd } from './lib/system.mjs';
import { until, within } from './lib/wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

async function demo(...args) {
    const child = new Child('scripts/demo', args, { cwd: root });
    await until('the demo is up', () => {
        if (!child.running)
            throw new Error(child.stdout + child.stderr);
        return child.stdout.includes('Ctrl-C ends it all');
    }, 120);
    const directory = /removes (\/\S+)\./.exec(child.stdout)[1];
    return { child, directory, text: child.stdout };
}

// What the demo prints is pasted into a shell as it stands.
async function paste(text) {
    const from = text.indexOf('export CESID');
    const to = text.indexOf('Break something');
    const script = text.slice(from, to).replace(/curl -N/, 'timeout 4 curl -sN');
    return await runToEnd('bash', ['-c', script], { seconds: 60 });
}

test('two demos run side by side, their commands work when pasted, and both clean up', async () => {
    const both = await Promise.all([demo(), demo()]);
    try {
        const urls = both.map(({ text }) => /Dashboard +(\S+)/.exec(text)[1]);
        assert.notEqual(urls[0], urls[1]);
        for (const { text } of both) {
            assert.ok(text.trim().split('\n').length <= 40, 'one screen');
            // The failing program has to fail first.
            const { stdout, stderr } = await until('a pasted answer', async () => {
                const pasted = await paste(text);
                return pasted.stdout.includes('"backup:backup"') && pasted;
            }, 60);
            assert.match(stdout, /"action": ?"restart"/, stderr);
            assert.match(stdout, /order \d+: \d+ items/, stderr);
        }
    } finally {
        for (const { child } of both)
            child.process.kill('SIGINT');
    }
    for (const { child, directory } of both) {
        const { code } = await within('the end of the demo', child.exited, 40);
        assert.equal(code, 0, child.stderr);
        assert.ok(!existsSync(directory), directory);
        const left = await runToEnd('pgrep', ['-f', directory]);
        assert.equal(left.stdout, '');
    }
});
