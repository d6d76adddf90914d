// What was answered is on record: actions without end, while cesid and MariaDB are killed and started
// again, and every one that was acknowledged is found. CESID_TEST_ACTIONS is how many.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid, run } from './lib/cesid.mjs';
import { Mariadb } from './lib/mariadb.mjs';
import { sleep, slow, until } from './lib/wait.mjs';

const wanted = Number(process.env.CESID_TEST_ACTIONS ?? (slow > 1 ? 200 : 500));
const workers = 16;

let mariadb;
before(async () => {
    mariadb = await new Mariadb().create();
});
after(() => mariadb?.stop());

// Until it is ready it refuses.
async function restart(cesid, meanwhile) {
    cesid.starting = true;
    await cesid.child.stop('SIGKILL');
    await meanwhile?.();
    await cesid.start();
    cesid.starting = false;
}

// Acts with many workers; events: [share of the actions after which it happens, what].
async function actThrough(cesid, events) {
    const acknowledged = [], refused = [], due = [...events];
    let sent = 0, happening, over = false;
    const work = async () => {
        while (acknowledged.length < wanted || due.length > 0 || happening) {
            assert.ok(!over);
            if (due.length > 0 && acknowledged.length >= due[0][0] * wanted && !happening) {
                const [, event] = due.shift();
                happening = event().finally(() => { happening = undefined; });
                happening.catch(() => { over = true; });
            }
            const id = `a-${++sent}`, { starting } = cesid;
            try {
                const { status, json } = await cesid.api('PUT', '/system/log-level',
                    { body: { level: 'warning' }, headers: { 'X-Request-ID': id } });
                if (status === 200 || status === 204)
                    acknowledged.push(id);
                else if (!starting && !cesid.starting)
                    refused.push(`${json.code} ${json.detail}`);
            } catch {
                await sleep(0.05); // cesid is away
            }
        }
    };
    await Promise.all(Array.from({ length: workers }, work));
    assert.deepEqual(refused, []); // as long as one of both places takes records
    return acknowledged;
}

async function allAreFound(cesid, acknowledged) {
    await until('what was kept aside is written', async () => {
        const { json } = await cesid.api('GET', '/health');
        return json.components.journal.spilled === 0 && json.components.store.status === 'ok';
    }, 30);
    const { text } = await cesid.api('GET',
        '/activity/export?format=jsonl&action=system.log_level&result=ok');
    const found = text.trim().split('\n').map((line) => JSON.parse(line).request_id);
    const unique = new Set(found);
    assert.equal(unique.size, found.length, 'none is there twice');
    assert.deepEqual(acknowledged.filter((id) => !unique.has(id)), []);
    const { code, stdout, stderr } = await run('-c', cesid.file, '--verify-activity');
    assert.equal(code, 0, stdout + stderr);
}

async function make(store) {
    const cesid = await new Cesid({ config: { store, refresh: { interval: 60 } } }).start();
    await cesid.login();
    return cesid;
}

test(`R5.1 ${wanted} acknowledged actions are found after kill -9 of cesid and of MariaDB`,
    { timeout: 600_000 * slow }, async () => {
        const cesid = await make(await mariadb.store({ query_timeout: 2 * slow,
            transaction_timeout: 4 * slow, health_interval: 0.5 }));
        const acknowledged = await actThrough(cesid, [
            [0.2, () => mariadb.stop('SIGKILL')],
            [0.4, () => mariadb.start()],
            [0.6, () => restart(cesid)],
            [0.8, async () => {
                await mariadb.stop('SIGKILL');
                await restart(cesid, () => mariadb.start()); // with records in the spill file
            }],
        ]);
        await allAreFound(cesid, acknowledged);
        await cesid.stop();
    });

test(`R5.1 ${wanted} acknowledged actions are found after kill -9 of cesid on SQLite`,
    { timeout: 600_000 * slow }, async () => {
        const cesid = await make({});
        const acknowledged = await actThrough(cesid,
            [0.2, 0.4, 0.6, 0.8].map((share) => [share, () => restart(cesid)]));
        await allAreFound(cesid, acknowledged);
        await cesid.stop();
    });
