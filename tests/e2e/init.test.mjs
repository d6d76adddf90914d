// conf/cesid.init, from an installed tree: the whole cycle, and the days on which things are not as
// they should be.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, renameSync, statSync,
    writeFileSync } from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Installed, isRoot } from './lib/install.mjs';
import { possible } from './lib/machine.mjs';
import { Child, freePort, runToEnd, signal } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

let tree, cesid, good;
const pidfile = () => tree.at('run/cesid/cesid.pid');
const pid = () => Number(readFileSync(pidfile(), 'utf8'));
const conf = 'etc/cesid/cesid.conf';
// Not one that has ended, all threads with all that they had open, and waits for its parent.
function running(number) {
    try {
        return readdirSync(`/proc/${number}/task`).length > 1 ||
            !/^State:\s+Z/m.test(readFileSync(`/proc/${number}/status`, 'utf8'));
    } catch {
        return false;
    }
}

async function expectInit(action, code, pattern = /^/, options) {
    const answer = await tree.init(action, options);
    const said = answer.stdout + answer.stderr;
    assert.equal(answer.code, code, `${action}: ${said}`);
    assert.match(said, pattern);
    return said;
}

// Where it does not matter how it ends: stopping takes its time.
async function kill() {
    const number = pid();
    signal(number, 'SIGKILL');
    await until('it is dead', () => !running(number));
}

before(async () => {
    if (!isRoot)
        return;
    tree = await Installed.make();
    const port = await freePort();
    await tree.settle((text) => text.replace('listen = "127.0.0.1:9080";', `listen = "127.0.0.1:${port}";`));
    good = tree.read(conf);
    cesid = new Cesid();
    Object.assign(cesid, { port, url: `http://127.0.0.1:${port}`, state: tree.at('var/lib/cesid') });
});

after(async () => {
    if (tree)
        await tree.init('stop');
});

const options = { skip: !isRoot && 'needs root' };

test('start, status, reload, restart and stop do what they say, and say it by their status', options,
    async () => {
        await expectInit('status', 3, /not running/);
        await expectInit('stop', 0, /not running/);
        await expectInit('reload', 7, /not running/);
        await expectInit('try-restart', 0);
        await expectInit('configtest', 0, /good/);
        assert.ok(!existsSync(pidfile()));
        await expectInit('', 2, /usage/);
        await expectInit('dance', 2, /usage/);

        await expectInit('start', 0, /started/);
        // It serves when start has come back, as the user that it was told.
        assert.equal((await cesid.request('GET', '/readyz')).status, 200);
        const first = pid();
        assert.equal(statSync(`/proc/${first}`).uid, tree.uid);
        await expectInit('status', 0, new RegExp(`running as ${first}\\b`));
        await expectInit('start', 0, new RegExp(`running already, as ${first}\\b`));
        assert.equal(pid(), first);

        await cesid.login();
        writeFileSync(tree.at('etc/cesid/nodes.conf'), 'nodes = ( { name = "late"; ' +
            'environment = "test"; url = "http://127.0.0.1:1/RPC2"; } );\n');
        await expectInit('reload', 0);
        await until('the new node', async () => (await cesid.get('/nodes')).total === 1);
        writeFileSync(tree.at('etc/cesid/nodes.conf'), '');
        await expectInit('force-reload', 0);
        await until('no node', async () => (await cesid.get('/nodes')).total === 0);
        assert.equal(pid(), first);

        await expectInit('restart', 0, /stopped[^]*started/);
        const second = pid();
        assert.notEqual(second, first);
        await expectInit('try-restart', 0);
        assert.notEqual(pid(), second);
        const third = pid();
        await expectInit('stop', 0, /stopped/);
        assert.ok(!running(third));
        assert.ok(!existsSync(pidfile()));
        await expectInit('status', 3);
    });

test('a bad configuration ends nothing that runs, and is told with file and line', options, async () => {
    await expectInit('start', 0);
    const before = pid();
    tree.configure((text) => text.replace('threads = 64;', 'threads = "many";'));
    const problem = /etc\/cesid\/cesid\.conf:\d+: server\.threads: /;
    for (const action of ['configtest', 'reload', 'force-reload', 'restart', 'try-restart'])
        await expectInit(action, 6, problem);
    assert.equal(pid(), before);
    assert.equal((await cesid.request('GET', '/readyz')).status, 200);
    await expectInit('stop', 0);
    await expectInit('start', 6, problem);
    renameSync(tree.at(conf), tree.at('away'));
    for (const action of ['configtest', 'start', 'restart'])
        await expectInit(action, 6, /there is no/);
    renameSync(tree.at('away'), tree.at(conf));
    tree.configure(() => good);
});

test('a pid file that a crash left is told, and in nobody\'s way', options, async () => {
    await expectInit('start', 0);
    await kill();
    await expectInit('status', 1, /dead, but/);
    await expectInit('reload', 7);
    await expectInit('stop', 0, /not running/);
    await expectInit('start', 0);
    await expectInit('status', 0);
    await kill();
    for (const nonsense of ['', '\n', 'x\n', '-1\n', '0\n', '1 2\n', '$(touch /nonexistent)\n']) {
        writeFileSync(pidfile(), nonsense);
        await expectInit('status', nonsense === '' ? 3 : 1);
        await expectInit('stop', 0, /not running/);
    }
    await expectInit('start', 0);
    await kill();
});

test('a pid file that names somebody else costs them nothing', options, async () => {
    const foreign = new Child('sleep', ['1000']);
    writeFileSync(pidfile(), `${foreign.pid}\n`);
    await expectInit('status', 1);
    await expectInit('reload', 7);
    await expectInit('stop', 0, /not running/);
    await expectInit('restart', 0, /started/);
    assert.notEqual(pid(), foreign.pid);
    await kill();
    assert.ok(foreign.running);
    foreign.kill();
});

test('a port in use and a full disk are told where start was called', options, async () => {
    const other = net.createServer().listen(cesid.port, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    await expectInit('start', 1, new RegExp(`cannot listen.*${cesid.port}[^]*did not start`));
    await expectInit('status', 3);
    await new Promise((resolve) => other.close(resolve));

    // A disk of its own for this script and what it starts.
    if (!possible)
        return;
    const full = await runToEnd('unshare', ['-m', 'sh', '-c', `
        mount -t tmpfs -o size=64k,mode=755 none ${tree.at('var')} &&
        mkdir ${tree.at('var/lib')} ${tree.at('var/log')} &&
        { head -c 65536 /dev/zero >${tree.at('var/filler')} 2>/dev/null || true; } &&
        ${tree.at('etc/init.d/cesid')} start`], { seconds: 60 });
    assert.equal(full.code, 1, full.stdout + full.stderr);
    assert.match(full.stderr, /No space left|disk is full|disk full/i);
    await expectInit('status', 3);
    await expectInit('start', 0);
    await kill();
});

test('an ordinary user may ask for the status, and no more', options, async () => {
    const as = { as: 'nobody' };
    await expectInit('stop', 0);
    await expectInit('status', 1, /^/, as);
    for (const action of ['start', 'stop', 'restart', 'reload'])
        await expectInit(action, 4, /only root/, as);
    await expectInit('start', 0);
    await expectInit('status', 0, /running as/, { as: 'daemon' });
    await kill();
});

test('an upgrade under a running server, and a program that is gone', options, async () => {
    await expectInit('start', 0);
    const before = pid();
    const program = tree.at('usr/sbin/cesid');
    copyFileSync(program, tree.at('new'));
    chmodSync(tree.at('new'), 0o755);
    renameSync(tree.at('new'), program);
    assert.match(await expectInit('status', 0), new RegExp(`${before}`));
    await expectInit('restart', 0);
    assert.ok(!running(before));
    await expectInit('stop', 0);
    renameSync(program, tree.at('away'));
    await expectInit('start', 5, /not installed/);
    await expectInit('status', 4);
    renameSync(tree.at('away'), program);
});

test('logrotate moves the log away, and the server goes on in a new one', options, async () => {
    await expectInit('start', 0);
    const log = tree.at('var/log/cesid/cesid.log');
    const rotate = async () => {
        const { code, stdout, stderr } = await runToEnd('logrotate',
            ['--force', '--state', tree.at('rotated'), tree.at('etc/logrotate.d/cesid')]);
        assert.equal(code, 0, stdout + stderr);
        assert.equal(stderr, '');
    };
    await rotate();
    assert.match(readFileSync(`${log}.1`, 'utf8'), /cesid is ready/);
    await cesid.login();
    await expectInit('reload', 0);
    await until('lines in the new log', () => readFileSync(log, 'utf8').includes('reload'));
    assert.equal(statSync(log).uid, tree.uid);
    await rotate();
    assert.ok(existsSync(`${log}.2.gz`) || existsSync(`${log}.2`));
    await expectInit('stop', 0);
    await rotate(); // nobody to tell is no failure
});
