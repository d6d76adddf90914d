// cesid --verify-activity: whole, tampered with, deleted, cut; on SQLite and on MariaDB, beside a
// cesid that serves and after its end.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid, run } from './lib/cesid.mjs';
import { expectOk } from './lib/http.mjs';
import { Mariadb } from './lib/mariadb.mjs';
import { sql } from './lib/users.mjs';
import { sleep } from './lib/wait.mjs';

let mariadb;
before(async () => {
    mariadb = await new Mariadb().create();
});
after(() => mariadb?.stop());

async function verify(cesid) {
    const { code, stdout, stderr } = await run('-c', cesid.file, '--verify-activity');
    assert.equal(stderr.replace(/^.* info .*\n/gm, ''), '');
    return { code, stdout };
}

async function isWhole(cesid) {
    const { code, stdout } = await verify(cesid);
    assert.equal(code, 0, stdout);
    const [, held] = /^the chain is whole: (\d+) records hold$/m.exec(stdout) ?? [];
    assert.ok(held > 0, stdout);
    return Number(held);
}

async function isBroken(cesid, pattern) {
    const { code, stdout } = await verify(cesid);
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^the chain is broken: /);
    assert.match(stdout, pattern);
}

async function tamper(cesid) {
    await sql(cesid, 'CREATE TABLE kept AS SELECT * FROM activity');
    const back = async () => {
        await sql(cesid, 'DELETE FROM activity');
        await sql(cesid, 'INSERT INTO activity SELECT * FROM kept');
        await isWhole(cesid);
    };
    const [[id]] = await sql(cesid, 'SELECT id FROM activity WHERE number = 3');
    for (const [change, said] of [
        ["UPDATE activity SET actor = 'mallory' WHERE number = 3", new RegExp(`record 3 \\(${id}\\)`)],
        ["UPDATE activity SET result = 'ok' WHERE result = 'refused'", /the outcome of record/],
        ['UPDATE activity SET duration = duration + 1 WHERE number = 4', /the outcome of record 4/],
        ['DELETE FROM activity WHERE number = 3', /records 3 to 3 are missing/],
        ['DELETE FROM activity WHERE number < 4', /records 1 to 3 are missing/],
        ['DELETE FROM activity WHERE number > 5', /records 6 to \d+ are missing at the end/],
    ]) {
        await sql(cesid, change);
        await isBroken(cesid, said);
        await back();
    }
    await sql(cesid, 'DROP TABLE kept');
}

async function story(cesid) {
    await cesid.start();
    await cesid.login();
    for (let i = 0; i < 8; i++)
        expectOk(await cesid.api('PUT', '/system/log-level', { body: { level: 'info' } }));
    await cesid.post('/auth/login', { username: 'admin', password: 'wrong wrong wrong' },
        { token: null });
    // While it serves, and acts.
    let over = false;
    const acting = (async () => {
        while (!over) {
            expectOk(await cesid.api('PUT', '/system/log-level', { body: { level: 'info' } }));
            await sleep(0.01);
        }
    })();
    try {
        for (let i = 0; i < 3; i++)
            await isWhole(cesid);
    } finally {
        over = true;
        await acting;
    }
    await cesid.stop();
    const held = await isWhole(cesid);
    assert.equal(await isWhole(cesid), held, 'verifying writes nothing');
    await tamper(cesid);
    // What a crash left half written is nobody's record, and stays for cesid to drop.
    const spill = join(cesid.state, 'activity.spill');
    appendFileSync(spill, '{"half');
    await isWhole(cesid);
    assert.equal(statSync(spill).size, 6);
    rmSync(join(cesid.state, 'activity.head'));
    await isBroken(cesid, /activity\.head is missing/);
    await sql(cesid, 'DELETE FROM activity');
    await isBroken(cesid, /activity\.head is missing/);
    assert.ok(!existsSync(join(cesid.state, 'activity.head')), 'verifying makes nothing');
    rmSync(join(cesid.state, 'activity.key'));
    const { code, stderr } = await run('-c', cesid.file, '--verify-activity');
    assert.equal(code, 1);
    assert.match(stderr, /activity\.key: is missing/);
    assert.ok(!existsSync(join(cesid.state, 'activity.key')));
}

test('the chain is whole or its break is named, on SQLite', () => story(new Cesid()));

test('the chain is whole or its break is named, on MariaDB', async () =>
    await story(new Cesid({ config: { store: await mariadb.store() } })));
