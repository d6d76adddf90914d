// scripts/demo, as somebody new meets it. It runs what `make` has built.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { expectOk, request } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { Child, freePort, makeDirectory, runToEnd } from './lib/system.mjs';
import { sleep, until, within } from './lib/wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

async function demo(...args) {
    return await up(new Child('scripts/demo', args, { cwd: root }));
}

async function up(child) {
    const began = performance.now();
    await until('the demo is up', () => {
        if (!child.running)
            throw new Error(child.stdout + child.stderr);
        return child.stdout.includes('Ctrl-C ends it all');
    }, 120);
    const directory = /removes (\/\S+)\./.exec(child.stdout)[1];
    return { child, directory, text: child.stdout, took: (performance.now() - began) / 1000 };
}

// Ctrl-C: the demo ends, and leaves no file and no process.
async function interrupt({ child, directory }) {
    child.process.kill('SIGINT');
    const { code } = await within('the end of the demo', child.exited, 40);
    assert.equal(code, 0, child.stderr);
    assert.ok(!existsSync(directory), directory);
    const left = await runToEnd('pgrep', ['-f', directory]);
    assert.equal(left.stdout, '');
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
        assert.ok(both.every(({ took }) => took < 30), 'ready in seconds');
        for (const { text } of both) {
            assert.ok(text.trim().split('\n').length <= 30, 'one screen');
            // The failing program has to fail first.
            const { stdout, stderr } = await until('a pasted answer', async () => {
                const pasted = await paste(text);
                return pasted.stdout.includes('"backup:backup"') && pasted;
            }, 60);
            assert.match(stdout, /"action": ?"restart"/, stderr);
            assert.match(stdout, /order \d+: \d+ items/, stderr);
        }
    } finally {
        await Promise.all(both.map(interrupt));
    }
});

// The literal blocks of README.md's section, as one script.
function readme(section) {
    const text = readFileSync(join(root, 'README.md'), 'utf8').split(`## ${section}\n`)[1]
        .split('\n## ')[0];
    return text.split('\n').filter((line) => line.startsWith('    ')).map((line) => line.slice(4))
        .join('\n').split('\n$ ')[0];
}

test('started in the background by a script it ends with SIGINT, too', async () => {
    await interrupt(await up(new Child('sh', ['-c', 'trap "" INT; exec scripts/demo'],
        { cwd: root })));
});

test('what README.md says to paste into a shell works with the demo', async () => {
    const running = await demo();
    try {
        const [first] = /export CESID=.*/.exec(running.text);
        const script = readme('From a shell').replace(/^export CESID=.*/m, first)
            .replaceAll('curl -sN', 'timeout 3 curl -sN').replaceAll('curl -s ', 'curl -sf ');
        assert.match(script, /export CESID=\S+ CESID_PASSWORD=\w+/);
        const { stdout, stderr } = await runToEnd('bash', ['--norc', '-c', `set -x\n${script}`],
            { seconds: 60 });
        for (const seen of [/"backup:backup"/, /"office"/, /"action": ?"restart"/,
            /"dry_run"|"matches"|"jobs:mail_01"/, /you said: hello|hello/, /^event: |^data: /m,
            /order \d+: \d+ items/, /"components"/, /^cesid_build_info/m])
            assert.match(stdout, seen, stderr);
    } finally {
        await interrupt(running);
    }
});

test('--node looks at supervisords of one\'s own, and leaves them as they are', async () => {
    const one = await new Supervisord({ name: 'one', username: 'ops', password: 'a@b/c "d" \\ e',
        programs: { cat: { command: '/bin/cat' } } }).start();
    const two = await new Supervisord({ name: 'two', listener: 'unix',
        programs: { cat: { command: '/bin/cat' } } }).start();
    const url = one.url.replace('http://', `http://ops:${encodeURIComponent(one.password)}@`);
    const running = await demo('--node', url, '--node', two.url, '--port', `${await freePort()}`);
    try {
        assert.match(running.text, /watches your 2 node/);
        const [, base, password] = /Dashboard +(\S+)\/[^]*Password +(\S+)/.exec(running.text);
        const { token } = expectOk(await request(base, 'POST', '/api/v1/auth/login',
            { body: { username: 'admin', password } }));
        await until('both are up', async () => expectOk(await request(base, 'GET',
            '/api/v1/nodes?state=up', { headers: { Authorization: `Bearer ${token}` } })).total === 2);
    } finally {
        await interrupt(running);
        assert.ok(one.child.running && two.child.running);
        await Promise.all([one.stop(), two.stop()]);
    }
});

test('wrong flags, a taken port and an early Ctrl-C leave nothing behind', async () => {
    const directory = makeDirectory();
    const options = { cwd: root, env: { ...process.env, TMPDIR: directory }, seconds: 60 };
    const help = await runToEnd('scripts/demo', ['--help'], options);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--node URL/);
    assert.equal((await runToEnd('scripts/demo', ['--nodes'], options)).code, 2);

    const holder = new Child('python3', ['-c', 'import socket, sys; s = socket.socket(); ' +
        's.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1], flush=True); input()']);
    const port = await until('a port', () => holder.stdout.trim());
    const taken = await runToEnd('scripts/demo', ['--port', port], options);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /cannot listen/);
    holder.kill();
    for (const seconds of [0.3, 0.8, 1.5]) {
        // As a terminal does it: everybody in the foreground gets the signal.
        const child = new Child('scripts/demo', [], { ...options, detached: true });
        await sleep(seconds);
        process.kill(-child.pid, 'SIGINT');
        await within('the end of the demo', child.exited, 40);
    }
    assert.deepEqual(readdirSync(directory), []);
    assert.equal((await runToEnd('pgrep', ['-f', directory])).stdout, '');
});
