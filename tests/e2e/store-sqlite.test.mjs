// SQLite in trouble: another program holds the lock, the disk is full, the file may only be read, or
// is gone. The right error in time, records are kept, and all is well again by itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid, run } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Child, makeDirectory } from './lib/system.mjs';
import { until, within } from './lib/wait.mjs';

const slow = Number(process.env.CESID_TEST_SLOW ?? 1);
const stretch = Math.min(slow, 2);
const limits = { acquire_timeout: 0.5 * stretch, query_timeout: 1.0 * stretch,
    transaction_timeout: 1.5 * stretch, health_interval: 0.5 };

// A small disk, where that may be had.
const disk = makeDirectory();
let mounted = false;
function mount(...args) {
    execFileSync('mount', args, { stdio: 'pipe' });
}
// Before what removes the directory.
process.prependListener('exit', () => {
    try {
        if (mounted)
            execFileSync('umount', ['-l', disk], { stdio: 'pipe' });
    } catch {
        // Somebody else's turn: it is gone with the machine.
    }
});

let cesid;
before(async () => {
    try {
        mount('-t', 'tmpfs', '-o', 'size=8m,mode=700', 'cesid-test', disk);
        mounted = true;
    } catch {
        mounted = false;
    }
    const state = join(disk, 'state');
    cesid = new Cesid({ config: { server: { state_dir: state },
        store: { path: join(state, 'cesid.db'), ...limits } } });
    cesid.state = state;
    await cesid.start();
    await cesid.login();
});
after(() => cesid?.stop());

const page = () => cesid.api('GET', '/activity?limit=1');
const signIn = () => cesid.post('/auth/login', { username: 'admin', password: cesid.adminPassword },
    { token: null });
const component = async (name) => (await cesid.api('GET', '/health')).json.components[name];

async function isBack() {
    await until('health is ok', async () => {
        const { status, json } = await cesid.api('GET', '/health');
        if (status !== 200 || json.status !== 'ok')
            throw new Error(JSON.stringify(json.components));
        return json.components.journal.spilled === 0 && json.components.threads.stuck === 0;
    }, 20);
    expectOk(await signIn());
}

let acts = 0;
const acted = [];
// The answer; what was done is remembered.
async function act() {
    const id = `act-${++acts}`;
    const level = acts % 2 ? 'info' : 'warning';
    const answer = await cesid.api('PUT', '/system/log-level',
        { body: { level }, headers: { 'X-Request-ID': id } });
    if (answer.status === 200 || answer.status === 204)
        acted.push(id);
    else
        expectProblem(answer, 503, 'store_unavailable');
    return { level, answer };
}

async function allAreRecorded() {
    const { items } = await cesid.get('/activity?action=system.log_level&result=ok&limit=1000');
    assert.deepEqual(items.map((record) => record.request_id).reverse(), acted);
}

test('another program holds the lock: writes end in time, reading and acting go on', async () => {
    const holder = new Child('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
db.execute("ROLLBACK")
`, join(cesid.state, 'cesid.db')]);
    try {
        await until('the lock is held', () => {
            assert.ok(holder.running, holder.stderr);
            return holder.stdout.includes('held');
        });
        const begin = performance.now();
        const answer = await signIn();
        assert.ok((performance.now() - begin) / 1000 < limits.transaction_timeout + 2 * slow);
        expectProblem(answer, answer.status === 504 ? 504 : 503,
            answer.status === 504 ? 'store_timeout'
                : answer.json.code === 'pool_exhausted' ? 'pool_exhausted' : 'store_unavailable');
        expectOk(await page());
        for (let i = 0; i < 3; i++)
            assert.ok((await act()).answer.status < 300);
        await until('health says that records wait, and why', async () =>
            /records wait for the store/.test((await component('journal')).reason) &&
            /^(the store takes no writes|every connection)/
                .test((await component('store')).reason));
    } finally {
        holder.process.stdin.end();
        await within('the end of the lock', holder.exited);
    }
    await isBack();
    await allAreRecorded();
});

test('the disk is full: what cannot be recorded is not done, what is answered is recorded',
    async (t) => {
        if (!mounted)
            return t.skip('needs a mount of its own');
        const filler = join(disk, 'filler');
        assert.throws(() => writeFileSync(filler, Buffer.alloc(16 << 20)), /ENOSPC/);
        try {
            let refused;
            for (let i = 0; i < 500 && !refused; i++) {
                const { level, answer } = await act();
                if (answer.status >= 300)
                    refused = { level, answer };
            }
            assert.ok(refused, 'an action is refused');
            const { level } = await cesid.get('/system/log-level');
            assert.notEqual(level, refused.level);
            await until('health says why', async () => {
                const { status, reason } = await component('journal');
                assert.match(reason ?? '', /actions are refused/);
                assert.match((await component('store')).reason ?? '', /takes no writes/);
                return status === 'failed';
            });
            const ready = await cesid.request('GET', '/readyz', { token: null });
            assert.equal(expectProblem(ready, 503, 'store_unavailable').detail, 'journal');
            expectOk(await cesid.api('GET', '/nodes'));
            expectOk(await page());
            assert.ok([503, 504].includes((await signIn()).status));
        } finally {
            rmSync(filler);
        }
        await isBack();
        assert.ok((await act()).answer.status < 300);
        expectOk(await cesid.request('GET', '/readyz', { token: null }));
        await until('all are recorded', async () => {
            await allAreRecorded();
            return true;
        });
    });

test('the file is gone: said at once, and found when it is back', async () => {
    const file = join(cesid.state, 'cesid.db');
    const kept = ['', '-wal', '-shm'].map((end) => [file + end, `${file}.aside${end}`]);
    for (const [from, to] of kept)
        renameSync(from, to);
    try {
        await until('health is failed', async () => (await component('store')).status === 'failed');
        expectProblem(await page(), 503, 'store_unavailable');
        expectProblem(await signIn(), 503, 'store_unavailable');
        assert.ok((await act()).answer.status < 300);
        expectOk(await cesid.api('GET', '/auth/me'));
        assert.equal((await cesid.request('GET', '/readyz', { token: null })).status, 503);
    } finally {
        for (const [from, to] of kept)
            renameSync(to, from);
    }
    await isBack();
    await allAreRecorded();
});

test('a second cesid on the same state directory is refused, and verifying is not', async () => {
    const other = new Cesid();
    other.state = cesid.state;
    other.port = cesid.port + 1 > 65535 ? cesid.port - 1 : cesid.port + 1;
    other.configure();
    const second = await run('-c', other.file);
    assert.equal(second.code, 1, second.stderr);
    assert.match(second.stderr, /another cesid|in use|locked/i);
    const { code, stdout, stderr } = await run('-c', cesid.file, '--verify-activity');
    assert.equal(code, 0, stdout + stderr);
});

test('a database that may only be read is refused at the start', async (t) => {
    if (!mounted)
        return t.skip('needs a mount of its own');
    const other = new Cesid();
    await other.start();
    await other.stop();
    const file = join(other.state, 'cesid.db');
    mount('--bind', file, file);
    try {
        mount('-o', 'remount,ro,bind', file);
        const { code, stderr } = await run('-c', other.file);
        assert.equal(code, 1, stderr);
        assert.match(stderr, /cannot open the store.*(may only be read)/i);
    } finally {
        execFileSync('umount', ['-l', file]);
    }
});
