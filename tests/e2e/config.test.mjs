// The command line and the configuration, as an administrator meets them.
import assert from 'node:assert/strict';
import {
    chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binary, Cesid, run } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { freePort, gone, makeDirectory, runToEnd, signal } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const write = (directory, text, name = 'cesid.conf', mode = 0o600) => {
    const file = join(directory, name);
    writeFileSync(file, text, { mode });
    chmodSync(file, mode);
    return file;
};

test('-V and -h answer, wrong usage is 2', async () => {
    const version = await run('-V');
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^cesid \d+\.\d+\.\d+.*\n$/);
    assert.equal((await run('--version')).stdout, version.stdout);
    const help = await run('-h');
    assert.equal(help.code, 0);
    for (const flag of ['--config', '--test', '--daemon', '--pidfile', '--log-level',
        '--create-admin', '--version', '--help'])
        assert.ok(help.stdout.includes(flag), flag);
    for (const wrong of [['-z'], ['--nonsense'], ['-c'], ['extra'], ['-l', 'loud'], ['-l']]) {
        const { code, stderr } = await run(...wrong);
        assert.equal(code, 2, wrong.join(' '));
        assert.ok(stderr.length > 0);
    }
});

test('a good configuration is silent approval', async () => {
    const file = write(makeDirectory(), 'server: { listen = "127.0.0.1:9080"; };\n');
    const { code, stdout, stderr } = await run('-t', '-c', file);
    assert.equal(code, 0, stdout + stderr);
});

test('R9.3 cesid -t reports every problem with file, line and key in one run', async () => {
    const directory = makeDirectory();
    const file = write(directory, `server: {
  listen = "nowhere";
  threads = 100000;
  colour = "red";
  streams = "many";
};
refresh: { interval = -1.0; };
log: { level = "loud"; };
elsewhere: { x = 1; };
nodes = (
  { name = "a b"; environment = "test"; url = "http://127.0.0.1:1/RPC2"; },
  { name = "twin"; environment = "test"; url = "ftp://127.0.0.1/"; },
  { name = "twin"; environment = "test"; url = "http://127.0.0.1:1/RPC2";
    password = "x"; password_file = "/nonexistent"; },
  { environment = "test"; url = "unix://relative"; }
);
`);
    const { code, stdout, stderr } = await run('-t', '-c', file);
    assert.equal(code, 1);
    const text = stdout + stderr;
    for (const [line, key] of [[2, 'server.listen'], [3, 'server.threads'], [4, 'server.colour'],
        [5, 'server.streams'], [7, 'refresh.interval'], [8, 'log.level'], [9, 'elsewhere'],
        [11, 'nodes\\[0\\].name'], [12, 'nodes\\[1\\].url'], [13, 'nodes\\[2\\].name'],
        [14, 'nodes\\[2\\].password(_file)?']])
        assert.match(text, new RegExp(`^${file}:${line}: ${key}: \\S.*$`, 'm'));
    assert.match(text, new RegExp(`^${file}:15: nodes\\[3\\].name: `, 'm'));
    assert.match(text, new RegExp(`^${file}:15: nodes\\[3\\].url: `, 'm'));
});

test('a problem in an included file is reported there', async () => {
    const directory = makeDirectory();
    const nodes = write(directory,
        '\nnodes = ( { name = "x"; environment = "t"; url = "gopher://x"; } );\n', 'nodes.conf');
    const file = write(directory, 'log: { level = "info"; };\n@include "nodes.conf"\n');
    const { code, stdout, stderr } = await run('-t', '-c', file);
    assert.equal(code, 1);
    assert.match(stdout + stderr, new RegExp(`^${nodes}:2: nodes\\[0\\].url: `, 'm'));
});

test('what is no configuration at all is told so', async () => {
    const directory = makeDirectory();
    for (const [text, line] of [['server: { listen = ', 1], ['\n\nserver = = 1;', 3],
        ['x = "\x00";', 1]]) {
        const file = write(directory, text);
        const { code, stdout, stderr } = await run('-t', '-c', file);
        assert.equal(code, 1, text);
        assert.match(stdout + stderr, new RegExp(`^${file}:${line}: `, 'm'));
    }
    const missing = await run('-t', '-c', join(directory, 'missing.conf'));
    assert.equal(missing.code, 1);
    assert.match(missing.stdout + missing.stderr, /missing\.conf/);
    assert.equal((await run('-t', '-c', directory)).code, 1);
});

test('R9.4 files that others may write, and secrets that others may read, are refused', async () => {
    const directory = makeDirectory();
    const open = write(directory, 'log: { level = "info"; };\n', 'open.conf', 0o666);
    assert.equal((await run('-t', '-c', open)).code, 1);
    const node = (extra) => `nodes = ( { name = "x"; environment = "t"; ` +
        `url = "http://127.0.0.1:1/RPC2"; username = "u"; ${extra} } );\n`;
    const secret = write(directory, node('password = "hush-hush";'), 'secret.conf', 0o644);
    const { code, stdout, stderr } = await run('-t', '-c', secret);
    assert.equal(code, 1);
    assert.ok(!(stdout + stderr).includes('hush-hush'));
    const readable = write(directory, 'hush-hush\n', 'secret', 0o644);
    assert.equal((await run('-t', '-c', write(directory,
        node(`password_file = "${readable}";`)))).code, 1);
    chmodSync(readable, 0o600);
    const fine = await run('-t', '-c', write(directory, node(`password_file = "${readable}";`)));
    assert.equal(fine.code, 0, fine.stdout + fine.stderr);
    const environment = await runToEnd(binary, ['-t', '-c', write(directory,
        node('password_env = "CESID_TEST_SECRET";'))],
    { env: { ...process.env, CESID_TEST_SECRET: 'hush-hush' } });
    assert.equal(environment.code, 0, environment.stdout + environment.stderr);
});

test('a listen address that is not loopback needs to be meant', async () => {
    const directory = makeDirectory();
    const file = write(directory, 'server: { listen = "0.0.0.0:9080"; };\n');
    const { code, stdout, stderr } = await run('-t', '-c', file);
    assert.equal(code, 1);
    assert.match(stdout + stderr, /:1: server\.listen: .*allow_plaintext/);
    write(directory, 'server: { listen = "0.0.0.0:9080"; allow_plaintext = true; };\n');
    assert.equal((await run('-t', '-c', file)).code, 0);
});

test('a wrong configuration, a taken port and a bad store are a failed start, and say why',
    async () => {
        const cesid = new Cesid();
        await cesid.start();
        const other = new Cesid();
        other.port = cesid.port;
        other.configure();
        mkdirSync(other.state, { mode: 0o700 });
        const taken = await run('-c', other.file);
        assert.equal(taken.code, 1);
        assert.match(taken.stderr, new RegExp(String(cesid.port)));
        await cesid.stop();

        const broken = new Cesid({ config: { store: { path: '/proc/nonexistent/cesid.db' } } });
        broken.port = await freePort();
        broken.configure();
        mkdirSync(broken.state, { mode: 0o700 });
        const store = await run('-c', broken.file);
        assert.equal(store.code, 1);
        assert.ok(store.stderr.includes('/proc/nonexistent/cesid.db'), store.stderr);

        writeFileSync(broken.file, 'server: { threads = "x"; };\n', { mode: 0o600 });
        const wrong = await run('-c', broken.file);
        assert.equal(wrong.code, 1);
        assert.match(wrong.stderr, /:1: server\.threads: /);
    });

test('--create-admin makes and resets an administrator', async () => {
    const cesid = new Cesid();
    await cesid.start();
    await cesid.stop();
    const create = (name, password) => runToEnd(binary,
        ['-c', cesid.file, '--create-admin', name], { input: password });
    const made = await create('vera', 'a long enough secret\n');
    assert.equal(made.code, 0, made.stderr);
    assert.notEqual((await create('vera', 'x\n')).code, 0, 'a short password is refused');
    assert.notEqual((await create('vera', '')).code, 0, 'none at all too');
    assert.notEqual((await create('vera', 'a long enough\0 secret\n')).code, 0, 'half of one, too');

    const again = new Cesid();
    Object.assign(again, { directory: cesid.directory, state: cesid.state, file: cesid.file });
    await again.start();
    await again.login('vera', 'a long enough secret');
    assert.ok((await again.get('/auth/me')).permissions[0].permissions.includes('user:admin'));
    expectProblem(await again.post('/auth/login', { username: 'vera', password: 'x' },
        { token: null }), 401, 'invalid_credentials');

    // Beside a running server, too: it is on record, and the sessions of before end.
    const records = async () =>
        (await again.get('/activity?action=user.create_admin')).items.reverse();
    const [first] = await until('the record', async () => {
        const items = await records();
        return items.length === 1 && items;
    });
    assert.deepEqual([first.actor, first.target, first.result], ['system', 'vera', 'ok']);
    assert.equal((await create('vera', 'another long secret\n')).code, 0);
    await until('the end of the session', async () =>
        (await again.api('GET', '/auth/me')).status === 401, 15);
    await again.login('vera', 'another long secret');
    const [, second] = await until('its record', async () => {
        const items = await records();
        return items.length === 2 && items;
    });
    assert.equal(second.details.by, 'cesid --create-admin');
    assert.ok(Date.parse(second.details.at) > Date.parse(first.at));
    await again.stop();
    const verified = await runToEnd(binary, ['-c', cesid.file, '--verify-activity']);
    assert.match(verified.stdout, /^the chain is whole/);
});

test('-d answers for the real result, -p keeps a second one away', async () => {
    const cesid = new Cesid({ config: { log: { file: 'log' } } });
    cesid.port = await freePort();
    cesid.config.log.file = join(cesid.directory, 'cesid.log');
    cesid.configure();
    mkdirSync(cesid.state, { mode: 0o700 });
    const pidfile = join(cesid.directory, 'cesid.pid');
    const daemon = await run('-d', '-p', pidfile, '-c', cesid.file);
    assert.equal(daemon.code, 0, daemon.stderr);
    const pid = Number(readFileSync(pidfile, 'utf8'));
    try {
        cesid.url = `http://127.0.0.1:${cesid.port}`;
        await until('the daemon is ready', async () =>
            (await cesid.request('GET', '/readyz')).status === 200);
        assert.equal(statSync(pidfile).mode & 0o022, 0);
        const second = await run('-p', pidfile, '-c', cesid.file);
        assert.equal(second.code, 1);
        assert.ok(second.stderr.includes(pidfile), second.stderr);
        expectOk(await cesid.request('GET', '/healthz'));

        // SIGUSR1: logging goes on in a new file after a rotation.
        const { renameSync, existsSync } = await import('node:fs');
        renameSync(cesid.config.log.file, `${cesid.config.log.file}.1`);
        signal(pid, 'SIGUSR1');
        await until('a new log file', () => existsSync(cesid.config.log.file));
    } finally {
        signal(pid, 'SIGTERM');
    }
    await gone(pid);

    const broken = await run('-d', '-c', join(cesid.directory, 'missing.conf'));
    assert.equal(broken.code, 1);
});

test('R10.5 every subsystem that logs can have a level of its own, and no other', async () => {
    const sources = join(dirname(fileURLToPath(import.meta.url)), '../../src');
    const names = new Set(readdirSync(sources, { recursive: true })
        .filter((file) => file.endsWith('.c'))
        .flatMap((file) => [...readFileSync(join(sources, file), 'utf8')
            .matchAll(/\blog_(?:debug|info|warning|error)\(\s*"([^"]+)"/g)].map(([, name]) => name)));
    assert.ok(names.size > 10);
    const cesid = await new Cesid().start();
    try {
        await cesid.login();
        const set = (body) => cesid.api('PUT', '/system/log-level', { body });
        for (const subsystem of names)
            assert.equal(expectOk(await set({ level: 'error', subsystem })).subsystems[subsystem],
                'error', subsystem);
        const wrong = expectProblem(await set({ level: 'error', subsystem: 'nonsense' }), 422,
            'validation_failed');
        assert.deepEqual(wrong.errors.map((e) => [e.field, e.code]), [['subsystem', 'not_allowed']]);
        assert.deepEqual(expectOk(await set({ level: 'info' })).subsystems, {});
    } finally {
        await cesid.stop();
    }
});

test('R10.5 the log has levels and comes as text or JSON lines', async () => {
    const cesid = new Cesid({ config: { log: { format: 'json', level: 'debug' } } });
    await cesid.start();
    await cesid.login();
    await cesid.stop();
    const lines = cesid.log.trim().split('\n').map((line) => JSON.parse(line));
    assert.ok(lines.length >= 3);
    for (const line of lines)
        assert.ok(line.level && (line.message ?? line.msg), JSON.stringify(line));
    const text = new Cesid({ config: { log: { level: 'error' } } });
    await text.start();
    await text.stop();
    assert.equal(text.log, '');
});
