// cesid under a service manager, as a daemon, and as root who becomes somebody else.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync,
    readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binary, Cesid, configText, run } from './lib/cesid.mjs';
import { expectOk } from './lib/http.mjs';
import { scrape } from './lib/metrics.mjs';
import { Child, freePort, gone, makeDirectory, runToEnd, signal } from './lib/system.mjs';
import { sleep, until, within } from './lib/wait.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const isRoot = process.getuid() === 0;

// A datagram socket of our own instead of systemd's: every message is a line of JSON.
class Manager {
    async start(name) {
        this.name = name;
        this.child = new Child('python3', [join(here, 'lib/notify-socket.py'), name]);
        await until('the manager listens', () => this.child.stdout.includes('\n'));
        return this;
    }

    get messages() {
        return this.child.stdout.split('\n').slice(1, -1).map((line) => JSON.parse(line));
    }

    // The messages that carry that key.
    having(key) {
        return this.messages.filter((message) => key in message);
    }

    async next(key, count = 1) {
        return (await until(`${key} at the manager`, () => {
            const all = this.having(key);
            return all.length >= count ? all : false;
        })).at(count - 1);
    }

    stop() {
        this.child.kill();
    }
}

async function startUnder(manager, env = {}) {
    const cesid = new Cesid();
    cesid.port = await freePort();
    cesid.url = `http://127.0.0.1:${cesid.port}`;
    cesid.configure();
    cesid.child = new Child(binary, ['-c', cesid.file],
        { env: { ...process.env, NOTIFY_SOCKET: manager.name, ...env } });
    return cesid;
}

// A configuration for a cesid that is started by hand.
async function prepare(sections = {}) {
    const cesid = new Cesid({ config: sections });
    cesid.port = await freePort();
    cesid.url = `http://127.0.0.1:${cesid.port}`;
    cesid.configure();
    return cesid;
}

const ready = async (cesid) => await until('cesid is ready', async () =>
    (await cesid.request('GET', '/readyz')).status === 200, 15);

for (const [kind, name] of [['a socket in the file system', (directory) => join(directory, 'notify')],
    ['an abstract socket', () => `@cesid-test-${process.pid}`]])
    test(`a service manager at ${kind} is told of start, reload, life and stop`, async () => {
        const manager = await new Manager().start(name(makeDirectory()));
        const cesid = await startUnder(manager, { WATCHDOG_USEC: '400000' });
        const ready = await manager.next('READY');
        assert.equal(ready.READY, '1');
        assert.equal(Number(ready.MAINPID), cesid.child.pid);
        assert.match(ready.STATUS, /^Serving on 127\.0\.0\.1:\d+/);
        // It is: no start is told before it is over.
        assert.equal((await cesid.request('GET', '/readyz')).status, 200);

        cesid.signal('SIGHUP');
        const reloading = await manager.next('RELOADING');
        assert.match(reloading.MONOTONIC_USEC, /^\d+$/);
        await manager.next('READY', 2);
        await cesid.login();
        expectOk(await cesid.post('/system/reload'));
        await manager.next('RELOADING', 2);
        await manager.next('READY', 3);
        const order = manager.messages.map((message) => ['RELOADING', 'READY']
            .find((key) => key in message)).filter(Boolean);
        assert.deepEqual(order, ['READY', 'RELOADING', 'READY', 'RELOADING', 'READY']);

        // Half the watchdog's time is 0.2 s.
        await manager.next('WATCHDOG', 4);
        await cesid.stop();
        const stopping = await manager.next('STOPPING');
        assert.ok(Number(stopping.EXTEND_TIMEOUT_USEC) >= 10e6);
        assert.ok(manager.messages.at(-1) && 'STOPPING' in manager.messages.at(-1));
        manager.stop();
    });

test('the watchdog of somebody else, and one that is not told, are left alone', async () => {
    const manager = await new Manager().start(join(makeDirectory(), 'notify'));
    const cesid = await startUnder(manager, { WATCHDOG_USEC: '200000', WATCHDOG_PID: '1' });
    await manager.next('READY');
    await sleep(0.5);
    assert.equal(manager.having('WATCHDOG').length, 0);
    await cesid.stop();
    manager.stop();
});

test('without a manager, or with one that is gone, cesid just works', async () => {
    for (const name of ['', '/nonexistent/notify', 'nonsense', `@cesid-nobody-${process.pid}`]) {
        const cesid = await startUnder({ name });
        await ready(cesid);
        await cesid.stop();
    }
});

test('a start that fails tells no manager that it is ready', async () => {
    const manager = await new Manager().start(join(makeDirectory(), 'notify'));
    const cesid = await startUnder(manager);
    await manager.next('READY');
    const other = new Cesid();
    other.port = cesid.port;
    other.configure();
    const failed = new Child(binary, ['-c', other.file],
        { env: { ...process.env, NOTIFY_SOCKET: manager.name } });
    assert.equal((await failed.exited).code, 1);
    assert.equal(manager.having('READY').length, 1);
    await cesid.stop();
    manager.stop();
});

test('-d leaves terminal, directory and inherited files behind', async () => {
    const cesid = await prepare({ log: { file: 'cesid.log' } }); // relative: to the file's directory
    const pidfile = join(cesid.directory, 'cesid.pid');
    // Descriptor 7 is the shell's; the daemon must not keep it.
    const shell = await runToEnd('/bin/sh', ['-c', 'exec 7</dev/zero; exec "$0" "$@"', resolve(binary),
        '-d', '-p', 'cesid.pid', '-c', 'cesid.conf'], { cwd: cesid.directory });
    assert.equal(shell.code, 0, shell.stderr);
    const pid = Number(readFileSync(pidfile, 'utf8'));
    try {
        await ready(cesid);
        const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
            try {
                return [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)];
            } catch {
                return [fd, ''];
            }
        });
        for (const [fd, where] of links) {
            assert.notEqual(where, '/dev/zero');
            if (Number(fd) <= 2)
                assert.equal(where, '/dev/null', fd);
        }
        assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        assert.match(status, /^Umask:\s+0027$/m);
        assert.match(status, /^NoNewPrivs:\s+1$/m);
        assert.match(status, /^PPid:\s+\d+$/m);
        const [, files] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(
            readFileSync(`/proc/${pid}/limits`, 'utf8'));
        assert.match(readFileSync(join(cesid.directory, 'cesid.log'), 'utf8'),
            new RegExp(`limit of open files files=${files}\\b`));
        // It finds its file again, though it was named from elsewhere.
        await cesid.login();
        expectOk(await cesid.post('/system/reload'));
    } finally {
        signal(pid, 'SIGTERM');
    }
    await gone(pid);
    assert.ok(!existsSync(pidfile));
});

test('-d that fails exits with 1, whatever it fails at', async () => {
    const cesid = await prepare();
    await cesid.start();
    const taken = await prepare();
    taken.port = cesid.port;
    taken.configure();
    const port = await run('-d', '-c', taken.file);
    assert.equal(port.code, 1);
    assert.match(port.stderr, new RegExp(`cannot listen.*${cesid.port}`));
    const noLog = await prepare({ log: { file: '/nonexistent/cesid.log' } });
    const log = await run('-d', '-c', noLog.file);
    assert.equal(log.code, 1);
    assert.match(log.stderr, /cannot open the log file file=\/nonexistent\/cesid\.log/);
    const noPid = await prepare();
    const pid = await run('-d', '-p', '/nonexistent/cesid.pid', '-c', noPid.file);
    assert.equal(pid.code, 1);
    // What is another's under a second name, or no file at all, is not written to.
    const other = join(noPid.directory, 'other');
    writeFileSync(other, 'keep', { mode: 0o600 });
    for (const [name, make] of [['hard', (path) => linkSync(other, path)],
        ['soft', (path) => symlinkSync(other, path)], ['dir', (path) => mkdirSync(path)]]) {
        make(join(noPid.directory, name));
        const refused = await run('-d', '-p', join(noPid.directory, name), '-c', noPid.file);
        assert.equal(refused.code, 1, name);
        assert.match(refused.stderr, /pid file/);
        assert.equal(readFileSync(other, 'utf8'), 'keep');
        assert.equal(statSync(other).mode & 0o777, 0o600);
    }
    await cesid.stop();
});

test('root becomes server.user for good, and that user has what it needs', { skip: !isRoot },
    async () => {
        const directory = makeDirectory();
        const port = await freePort();
        const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) =>
            Number((await runToEnd('id', [flag, 'nobody'])).stdout)));
        chmodSync(directory, 0o755);
        const outside = join(directory, 'var');
        mkdirSync(outside, { mode: 0o755 }); // root's, like /var/lib: nobody may not make things here
        const file = join(directory, 'cesid.conf');
        const text = (extra = '') => configText({
            server: { listen: `127.0.0.1:${port}`, state_dir: join(outside, 'lib'), user: 'nobody' },
            store: { path: join(outside, 'lib', 'cesid.db') },
            log: { file: join(outside, 'log', 'cesid.log') },
        }) + extra;
        writeFileSync(file, text(), { mode: 0o644 });
        const cesid = new Cesid();
        Object.assign(cesid, { directory, file, port, url: `http://127.0.0.1:${port}`,
            state: join(outside, 'lib') });
        cesid.child = new Child(binary, ['-c', file]);
        await ready(cesid);
        const status = readFileSync(`/proc/${cesid.child.pid}/status`, 'utf8');
        assert.match(status, new RegExp(`^Uid:${`\\s+${uid}`.repeat(4)}$`, 'm'), status);
        assert.match(status, new RegExp(`^Gid:${`\\s+${gid}`.repeat(4)}$`, 'm'), status);
        assert.match(status, /^CapPrm:\s+0+$/m);
        assert.doesNotMatch(/^Groups:(.*)$/m.exec(status)[1], /\b0\b/, 'root is still among its groups');
        for (const task of readdirSync(`/proc/${cesid.child.pid}/task`))
            assert.match(readFileSync(`/proc/${cesid.child.pid}/task/${task}/status`, 'utf8'),
                new RegExp(`^Uid:${`\\s+${uid}`.repeat(4)}$`, 'm'));
        for (const [path, mode] of [['lib', 0o700], ['lib/cesid.db', 0o600], ['log', 0o750],
            ['log/cesid.log', 0o640]]) {
            const found = statSync(join(outside, path));
            assert.equal(found.uid, uid, path);
            assert.equal(found.mode & 0o777 & ~mode, 0, path);
        }
        assert.ok((await scrape(cesid)).value('cesid_open_fds') > 5);
        // What only root may read cannot be reloaded: refused, the old stays.
        await cesid.login();
        expectOk(await cesid.post('/system/reload'));
        writeFileSync(join(directory, 'secret'), 'hush\n', { mode: 0o600 });
        writeFileSync(file, text('nodes = ( { name = "x"; url = "http://127.0.0.1:1/RPC2"; ' +
            `username = "u"; password_file = "${join(directory, 'secret')}"; } );\n`));
        const refused = await cesid.post('/system/reload');
        assert.equal(refused.status, 422, refused.text);
        assert.equal(refused.json.errors[0].field, 'nodes[0].password_file');
        signal(cesid.child.pid, 'SIGTERM');
        assert.equal((await cesid.child.exited).code, 0);

        // Administrators made by root do not leave root's files behind.
        writeFileSync(file, text());
        const made = await runToEnd(binary, ['-c', file, '--create-admin', 'vera'],
            { input: 'a long enough secret\n' });
        assert.equal(made.code, 0, made.stderr);
        for (const name of readdirSync(join(outside, 'lib')))
            assert.equal(statSync(join(outside, 'lib', name)).uid, uid, name);

        // A state directory of somebody else is told plainly.
        chownSync(join(outside, 'lib'), 0, 0);
        const foreign = await run('-c', file);
        assert.equal(foreign.code, 1);
        const log = readFileSync(join(outside, 'log', 'cesid.log'), 'utf8');
        assert.match(log, /state directory.*Permission denied/);
    });

test('after kill -9 the next one takes over pid file, port and store', async () => {
    const cesid = await prepare();
    const pidfile = join(cesid.directory, 'cesid.pid');
    for (let round = 0; round < 3; round++) {
        cesid.child = new Child(binary, ['-p', pidfile, '-c', cesid.file]);
        await ready(cesid);
        assert.equal(Number(readFileSync(pidfile, 'utf8')), cesid.child.pid);
        await cesid.login();
        expectOk(await cesid.post('/nodes', { name: `node-${round}`, environment: 'test',
            url: 'http://127.0.0.1:1/RPC2' }), 201);
        cesid.signal('SIGKILL');
        await cesid.child.exited;
        assert.ok(existsSync(pidfile));
    }
    // A pid file that names somebody else who lives is no hindrance: the lock counts.
    writeFileSync(pidfile, '1\n');
    cesid.child = new Child(binary, ['-p', pidfile, '-c', cesid.file]);
    await ready(cesid);
    await cesid.login();
    assert.equal((await cesid.get('/nodes')).total, 3);
    await cesid.stop();
    assert.ok(!existsSync(pidfile));
});

test('a SIGTERM at any moment of the start ends it, and leaves nothing in the way', async () => {
    const cesid = await prepare();
    const pidfile = join(cesid.directory, 'cesid.pid');
    for (const delay of [0, 2, 5, 10, 20, 40, 80]) {
        const child = new Child(binary, ['-p', pidfile, '-c', cesid.file]);
        await sleep(delay / 1000);
        signal(child.pid, 'SIGTERM');
        const { code, signal: name } = await child.exited;
        // Before it has done anything it may simply die.
        assert.ok(code === 0 || name === 'SIGTERM', `${delay} ms: ${code} ${name} ${child.stderr}`);
        assert.doesNotMatch(child.stderr, /Sanitizer|runtime error/);
        if (code === 0)
            assert.ok(!existsSync(pidfile));
    }
    await cesid.start();
    await cesid.login();
    await cesid.stop();
});

test('a disk that is full for the log stops nothing, and what was lost is said later', async () => {
    const cesid = await new Cesid({ config: { log: { file: '/dev/full' } } }).start();
    await cesid.login();
    for (let i = 0; i < 5; i++)
        await cesid.get('/nodes');
    const file = join(cesid.directory, 'cesid.log');
    cesid.config.log.file = file;
    cesid.configure();
    assert.deepEqual(expectOk(await cesid.post('/system/reload')).settings, ['log.file']);
    await until('the log', () => /lines of the log could not be written and are lost lines=\d+/
        .test(readFileSync(file, 'utf8')));
    await cesid.stop();
});

test('two servers never share a state directory, whatever their stores', async () => {
    const first = await new Cesid().start();
    const second = new Cesid();
    second.state = first.state;
    second.config = { store: { path: join(second.directory, 'other.db') } };
    second.port = await freePort();
    second.configure();
    const refused = new Child(binary, ['-c', second.file]);
    assert.equal((await within('the refusal', refused.exited)).code, 1);
    assert.match(refused.stderr, /another cesid works in this state directory: stop it, or/);
    assert.ok(!existsSync(join(second.directory, 'other.db')), 'nothing was touched');
    await first.login();
    first.signal('SIGKILL');
    await first.child.exited;
    await second.start();
    await second.stop();
});
