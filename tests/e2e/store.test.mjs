// A store that another program holds locked for a while: every request is answered in time and
// says what is the matter, nothing is half done, and all is well afterwards.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { scrape } from './lib/metrics.mjs';
import { Child, runToEnd } from './lib/system.mjs';
import { slow, until } from './lib/wait.mjs';

const limits = { pool: 2, acquire_timeout: 0.5, query_timeout: 1.0, transaction_timeout: 2.0,
    health_interval: 60 };
let cesid;
before(async () => {
    cesid = await new Cesid({ config: { store: limits } }).start();
    await cesid.login();
});
after(async () => { await cesid?.stop(); });

// Holds the lock of the one who writes; the answer lets go of it.
async function hold() {
    const child = new Child('/usr/bin/python3', ['-u', '-c',
        'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None); ' +
        'db.execute("BEGIN IMMEDIATE"); print("held"); sys.stdin.read(); db.execute("ROLLBACK")',
        join(cesid.state, 'cesid.db')]);
    await until('the store is held', () => child.stdout.includes('held'));
    return async () => {
        child.process.stdin.end();
        await child.exited;
    };
}

const login = async () => await cesid.post('/auth/login',
    { username: 'admin', password: cesid.adminPassword }, { token: null });

const nodeBody = (name) => ({ name, environment: 'test', url: 'http://127.0.0.1:1/RPC2' });

async function timed(promise) {
    const begin = performance.now();
    return { answer: await promise, took: (performance.now() - begin) / 1000 };
}

test('R5.2 R5.4 callers of an exhausted pool are answered in time, and told to come back', async () => {
    const release = await hold();
    const names = Array.from({ length: 3 }, (unused, i) => `n${i}`);
    let answers;
    try {
        answers = await Promise.all([...names.map((name) => cesid.post('/nodes', nodeBody(name))),
            ...Array.from({ length: 9 }, login)].map(timed));
        for (const { answer, took } of answers) {
            assert.ok([503, 504].includes(answer.status), answer.text);
            expectProblem(answer, answer.status, answer.json.code);
            assert.ok(['pool_exhausted', 'store_timeout', 'store_unavailable']
                .includes(answer.json.code), answer.text);
            if (answer.status === 503)
                assert.ok(Number(answer.headers['retry-after']) >= 1);
            assert.doesNotMatch(answer.text, /sqlite|locked|busy_timeout|INSERT/i);
            assert.ok(took < 8 * slow, `${took} s`);
        }
        assert.ok(answers.some(({ answer }) => answer.json.code === 'pool_exhausted'),
            answers.map(({ answer }) => answer.json.code).join());
        // What needs no store works: a session that is known, nodes, processes.
        const { took } = await timed(cesid.get('/auth/me'));
        assert.ok(took < 2 * slow, `${took} s`);
        expectOk(await cesid.api('GET', '/processes'));
        const pool = await scrape(cesid);
        assert.ok(pool.value('cesid_store_pool', { state: 'in_use' }) <= limits.pool + 1);
    } finally {
        await release();
    }
    await until('nobody waits any more', async () =>
        (await scrape(cesid)).value('cesid_store_pool', { state: 'waiting' }) === 0);
    // Nothing was half done: none of them is there, in the store or in the registry.
    assert.deepEqual((await cesid.get('/nodes?limit=1000')).items, []);
    for (const name of names)
        await until(`${name} is taken`, async () =>
            (await cesid.post('/nodes', nodeBody(name))).status === 201);
    assert.equal((await cesid.get('/nodes')).total, names.length);
});

test('R5.3 a transaction that takes too long is given up, and its caller told which error it was',
    async () => {
        const total = (await cesid.get('/nodes')).total;
        const release = await hold();
        try {
            const { answer, took } = await timed(cesid.post('/nodes', nodeBody('late')));
            assert.ok([503, 504].includes(answer.status), answer.text);
            assert.ok(took < (limits.transaction_timeout + 4) * slow, `${took} s`);
            assert.equal(answer.json.detail, expectProblem(answer, answer.status,
                answer.json.code).detail);
        } finally {
            await release();
        }
        await until('the next one goes through', async () =>
            (await cesid.post('/nodes', nodeBody('next'))).status === 201);
        assert.equal((await cesid.get('/nodes')).total, total + 1);
        expectProblem(await cesid.api('GET', '/nodes/late'), 404, 'not_found');
    });

test('R5.1 failed probes of the store are repeated after ever longer pauses, until it is back',
    async () => {
        const rename = async (...pairs) => {
            const { code, stderr } = await runToEnd('/usr/bin/python3', ['-c',
                'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=5)\n' +
                'for pair in sys.argv[2:]:\n' +
                '    db.execute("ALTER TABLE {} RENAME TO {}".format(*pair.split(":")))\n' +
                'db.commit()', join(cesid.state, 'cesid.db'), ...pairs]);
            assert.equal(code, 0, stderr);
        };
        const failures = async () => (await scrape(cesid)).families
            .get('cesid_store_operations_total').samples
            .filter(({ labels }) => labels.statement === 'probe' && labels.result !== 'ok')
            .reduce((sum, { value }) => sum + value, 0);
        const before = await failures();
        await rename('schema_version:elsewhere', 'users:nobody');
        const begin = performance.now();
        try {
            // The next probe is a long time away: what fails for a caller brings it forward.
            expectProblem(await login(), 503, 'store_unavailable');
            await until('a sixth failure', async () => await failures() >= before + 6, 20);
            // Between them at least 0.05, 0.1, 0.2, 0.4 and 0.8 s.
            assert.ok(performance.now() - begin > 1500, `${performance.now() - begin} ms`);
            assert.ok(performance.now() - begin < 15_000 * slow);
        } finally {
            await rename('elsewhere:schema_version', 'nobody:users');
        }
        await until('it is back', async () => (await login()).status === 200, 20);
        await until('it is known', async () => (await scrape(cesid)).value('cesid_store_up') === 1);
    });
