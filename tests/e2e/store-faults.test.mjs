// The store in every kind of trouble, on a real MariaDB: what needs it gets the right error in time,
// what does not goes on, records are kept, and all is well again by itself.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig, run } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Mariadb } from './lib/mariadb.mjs';
import { scrape } from './lib/metrics.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until, within } from './lib/wait.mjs';

const slow = Number(process.env.CESID_TEST_SLOW ?? 1);
const stretch = Math.min(slow, 2);
const limits = { acquire_timeout: 0.5 * stretch, query_timeout: 1.5 * stretch,
    transaction_timeout: 2 * stretch, health_interval: 0.5 };

let mariadb, supervisord, cesid, socket;
before(async () => {
    mariadb = new Mariadb();
    supervisord = new Supervisord({ name: 'web', programs: { cat: { command: '/bin/cat' } } });
    await Promise.all([mariadb.create(), supervisord.start()]);
    cesid = await new Cesid({
        nodes: [nodeConfig(supervisord)],
        config: { store: await mariadb.store({ pool: 2, ...limits }) },
    }).start();
    await cesid.login();
    await cesid.nodeIs('web', 'up');
    socket = await cesid.socket();
    await socket.subscribe('fleet');
});
after(async () => {
    await socket?.close();
    await cesid?.stop();
    await mariadb?.stop();
    await supervisord?.child?.kill();
});

const component = async (name) => (await cesid.api('GET', '/health')).json.components[name];
const timed = async (promise) => {
    const begin = performance.now();
    const answer = await promise;
    return { answer, seconds: (performance.now() - begin) / 1000 };
};

// All answers, each in time; longest in seconds of a machine at leisure.
async function inTime(longest, ...calls) {
    const results = await Promise.all(calls.map((call) => timed(call())));
    for (const { answer, seconds } of results)
        assert.ok(seconds < longest + 2 * slow, `${seconds} s: ${answer.status} ${answer.text}`);
    return results.map(({ answer }) => answer);
}

const page = () => cesid.api('GET', '/activity?limit=1');
const signIn = () => cesid.post('/auth/login', { username: 'admin', password: cesid.adminPassword },
    { token: null });

let acts = 0;
const acted = [];
// A process is restarted by a session that was there before, and that is seen on the WebSocket.
async function actAndWatch() {
    const from = socket.mark, id = `act-${++acts}`;
    const answer = await cesid.post('/nodes/web/processes/cat/restart', undefined,
        { headers: { 'X-Request-ID': id } });
    expectOk(answer);
    acted.push(id);
    await socket.next('cat runs again',
        (m) => m.type === 'process' && m.data.id === 'cat:cat' && m.data.state === 'RUNNING',
        { from });
    expectOk(await cesid.api('GET', '/nodes/web/processes/cat/log'));
    expectOk(await cesid.api('GET', '/auth/me'));
}

async function worksWithoutStore() {
    await actAndWatch();
    await actAndWatch();
    await until('health says that records wait', async () => {
        const { status, reason } = await component('journal');
        assert.match(reason ?? '', /^\d+ records wait for the store$/);
        return status === 'degraded';
    });
}

async function isDown() {
    await until('health says that the store is down', async () => {
        const { status, reason } = await component('store');
        assert.match(reason ?? '', /^the store does not answer/);
        return status === 'failed';
    });
    const ready = await cesid.request('GET', '/readyz', { token: null });
    assert.equal(ready.status, 503);
    assert.match(ready.text, /store/);
    assert.equal((await scrape(cesid)).value('cesid_store_up'), 0);
    for (const answer of await inTime(0.5, page, page, signIn, page, signIn))
        expectProblem(answer, 503, 'store_unavailable');
    assert.equal((await cesid.request('GET', '/healthz', { token: null })).status, 200);
}

// Everything is written, in the order in which it was done, and nobody holds anything.
async function isBack() {
    await until('health is ok', async () => {
        const { status, json } = await cesid.api('GET', '/health');
        if (status !== 200 || json.status !== 'ok')
            throw new Error(JSON.stringify(json.components));
        assert.equal(json.components.journal.spilled, 0);
        assert.equal(json.components.threads.stuck, 0);
        return json.components.store.in_use === 0;
    }, 20);
    assert.equal((await cesid.request('GET', '/readyz', { token: null })).status, 200);
    expectOk(await signIn());
    const { items } = await cesid.get('/activity?action=process.restart&limit=1000');
    assert.deepEqual(items.map((record) => record.request_id).reverse(), acted);
    for (const { result, status } of items)
        assert.deepEqual([result, status], ['ok', 200]);
}

test('R5.1 MariaDB is killed: refused at once, the rest works, all is written later', async () => {
    await actAndWatch();
    await mariadb.stop('SIGKILL');
    await isDown();
    await worksWithoutStore();
    await mariadb.start();
    await isBack();
});

test('R5.1 R5.3 MariaDB stands still: what waits is ended in time, and then nobody waits',
    async () => {
        mariadb.signal('SIGSTOP');
        await until('it stands still', () =>
            /^State:\tT/m.test(readFileSync(`/proc/${mariadb.child.pid}/status`, 'utf8')));
        try {
            // One that meets it first finds out by waiting, at most for the statement's time.
            for (const answer of await inTime(limits.query_timeout * 2, page, signIn))
                assert.ok(['store_timeout', 'store_unavailable', 'pool_exhausted']
                    .includes(answer.json.code), answer.text);
            await isDown();
            await worksWithoutStore();
        } finally {
            mariadb.signal('SIGCONT');
        }
        await isBack();
    });

test('MariaDB is restarted: connections of before are not used again', async () => {
    await mariadb.stop('SIGTERM');
    await mariadb.start();
    await until('the store is up', async () => (await page()).status === 200);
    await actAndWatch();
    await isBack();
});

test('connections that the server kills are replaced before anybody notices', async () => {
    for (let round = 0; round < 3; round++) {
        const ids = (await mariadb.sql("SELECT id FROM information_schema.processlist " +
            "WHERE user = 'cesid'")).trim().split('\n').filter(Boolean);
        assert.ok(ids.length > 0);
        await mariadb.sql(ids.map((id) => `KILL ${id};`).join('\n'));
        for (let i = 0; i < 5; i++)
            expectOk(await page());
        await actAndWatch();
    }
    await isBack();
});

test('who signs out while the store is away stays out, and the store learns it by itself', async () => {
    const username = 'leaver', password = 'of no use to anybody';
    expectOk(await cesid.post('/users', { username, password }), 201);
    const { token } = expectOk(await cesid.post('/auth/login', { username, password },
        { token: null }));
    const sessions = async () => await mariadb.number('SELECT COUNT(*) FROM sessions s JOIN users u ' +
        `ON u.id = s.user_id WHERE u.username = '${username}'`, cesid.config.store.database);
    assert.equal(await sessions(), 1);
    mariadb.signal('SIGSTOP');
    try {
        const answer = await cesid.post('/auth/logout', undefined, { token });
        assert.ok([503, 504].includes(answer.status), answer.text);
        expectProblem(await cesid.api('GET', '/auth/me', { token }), 401, 'unauthenticated');
    } finally {
        mariadb.signal('SIGCONT');
    }
    await until('the session is gone', async () => await sessions() === 0);
    await isBack();
});

test('R5.2 R5.4 slow queries exhaust the pool: the rest is told so, in time', async () => {
    const lock = mariadb.hold('LOCK TABLES activity WRITE; SELECT 1;\n',
        cesid.config.store.database);
    try {
        await until('the table is locked', () => lock.stdout.includes('1'));
        const answers = await inTime(limits.query_timeout + limits.acquire_timeout,
            page, page, page, page, page, page);
        const codes = answers.map((answer) => answer.json.code);
        for (const [i, code] of codes.entries())
            expectProblem(answers[i], code === 'store_timeout' ? 504 : 503, code);
        assert.ok(codes.includes('pool_exhausted'), `${codes}`);
        assert.ok(codes.includes('store_timeout'), `${codes}`);
        assert.deepEqual(codes.filter((code) => !/pool_exhausted|store_timeout/.test(code)), []);
        const [nodes] = await inTime(0.5, () => cesid.api('GET', '/nodes'));
        expectOk(nodes);
        await actAndWatch();
    } finally {
        lock.kill();
        await within('the end of the lock', lock.exited);
    }
    await isBack();
});

test('after all of it the chain of records is whole', async () => {
    const { code, stdout, stderr } = await run('-c', cesid.file, '--verify-activity');
    assert.equal(code, 0, stdout + stderr);
    assert.equal(socket.fault, undefined);
});
