// The tests of what the store holds, once more with every cesid on a database of MariaDB.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Mariadb } from './lib/mariadb.mjs';
import { runToEnd } from './lib/system.mjs';
import { slow } from './lib/wait.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const files = ['activity', 'activity-read', 'auth', 'contract', 'users', 'matrix']
    .map((name) => join(here, `${name}.test.mjs`)).filter(existsSync);

// What differs is the store's driver, and that has tests of its own under the sanitizers.
const skip = slow > 1 && 'only in the plain build';

let mariadb;
before(async () => {
    if (!skip)
        mariadb = await new Mariadb().create();
});
after(() => mariadb?.stop());

test('R9.2 the API is the same on MariaDB', { skip, timeout: 110_000 }, async () => {
    assert.ok(files.length >= 4);
    const env = { ...process.env, CESID_TEST_MARIADB: String(mariadb.port) };
    delete env.NODE_TEST_CONTEXT;
    delete env.CESID_TEST_REPORT;
    const { code, stdout, stderr } = await runToEnd(process.execPath,
        [join(here, 'run.mjs'), ...files], { env, seconds: 100 });
    const failed = stdout.slice(Math.max(0, stdout.search(/^not ok/m)));
    assert.equal(code, 0, failed + stderr);
    assert.match(stdout, /^\d\d+ passed, 0 failed$/m);
    assert.ok(await mariadb.number('SELECT COUNT(*) FROM information_schema.schemata ' +
        "WHERE schema_name LIKE 'cesid%'") >= files.length, 'they were on MariaDB');
});
