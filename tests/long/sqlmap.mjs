#!/usr/bin/env node
// sqlmap of Debian against login, activity and users, on SQLite and on MariaDB: it must find nothing
// that it can inject into. Some minutes; scripts/check runs it with --long.
//
//   make all && node tests/long/sqlmap.mjs [MINUTES]
//
// MINUTES bounds each of the runs, by default 5; one that does not end in time has failed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Cesid } from '../e2e/lib/cesid.mjs';
import { Mariadb } from '../e2e/lib/mariadb.mjs';
import { makeDirectory, runToEnd } from '../e2e/lib/system.mjs';

const minutes = Number(process.argv[2] ?? 5);

// { path, method, body }: an asterisk is where sqlmap puts what it has.
const targets = [
    { method: 'POST', path: '/auth/login', body: '{"username":"admin*","password":"wrong-wrong-1*"}',
        open: true },
    { method: 'GET', path: '/activity?actor=admin*&action=auth.login*&target=admin*&limit=5' },
    { method: 'GET', path: '/activity?result=ok*&since=2020-01-01T00:00:00Z*&cursor=x*' },
    { method: 'GET', path: '/users/admin*' },
    { method: 'GET', path: '/users?limit=5*&cursor=x*' },
    { method: 'PATCH', path: '/users/vera', body: '{"full_name":"x*","email":"v*@example.org"}' },
];

async function scan(cesid, dbms, { method, path, body, open }) {
    const found = await runToEnd('sqlmap', ['-u', `${cesid.url}/api/v1${path}`, `--method=${method}`,
        ...(body ? [`--data=${body}`, '-H', 'Content-Type: application/json'] : []),
        ...(open ? [] : ['-H', `Authorization: Bearer ${cesid.token}`]),
        `--dbms=${dbms}`, '--batch', '--level=2', '--risk=2', '--threads=4', '--time-sec=2',
        '--retries=1', '--flush-session', '--disable-coloring', '--skip-heuristics',
        `--ignore-code=400,401,404,422,429`, `--output-dir=${join(makeDirectory(), 'out')}`],
    { seconds: minutes * 60, env: { ...process.env, PYTHONWARNINGS: 'ignore' } });
    const clean = 'all tested parameters do not appear to be injectable';
    const what = `${dbms} ${method} ${path}: ${found.stdout.slice(-3000)}${found.stderr}`;
    assert.ok(found.stdout.includes(clean), what);
    assert.doesNotMatch(found.stdout.replaceAll(clean, ''),
        /is vulnerable|appears? to be .*injectable|identified the following injection/, what);
    console.log(`ok ${dbms} ${method} ${path}`);
}

const mariadb = await new Mariadb().create();
let cesid;
try {
    for (const [dbms, store] of [['sqlite', undefined], ['mysql', await mariadb.store()]]) {
        cesid = new Cesid({ config: { ...(store ? { store } : {}),
            auth: { login_attempts: 1000, lockout: 1.0 }, log: { level: 'error' } } });
        await cesid.start();
        await cesid.login();
        await cesid.post('/users', { username: 'vera', password: 'a horse and a battery' });
        for (const target of targets)
            await scan(cesid, dbms, target);
        const users = (await cesid.get('/users')).items.map(({ username }) => username);
        assert.deepEqual(users, ['admin', 'vera']);
        assert.doesNotMatch(cesid.log, /"level":"error"/);
        await cesid.stop();
    }
} finally {
    cesid?.child?.kill();
    await mariadb.stop();
}
