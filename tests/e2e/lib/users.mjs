// Users of other rights than the administrator's, and the server's database beside it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { binary } from './cesid.mjs';
import { Mariadb } from './mariadb.mjs';
import { runToEnd } from './system.mjs';

// One statement on cesid's own database: a list of values a row.
export async function sql(cesid, text) {
    const store = { ...cesid.store, ...cesid.config.store };
    if (store.backend === 'mariadb') {
        const output = await Mariadb.at(store.port).sql(text, store.database);
        return output.split('\n').filter(Boolean).map((line) => line.split('\t'));
    }
    const { code, stdout, stderr } = await runToEnd('python3', ['-c', `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
print(json.dumps(db.execute(sys.argv[2]).fetchall()))
db.commit()
`, join(cesid.state, 'cesid.db'), text]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout).map((row) => row.map(String));
}

// A session's token of a new user with one binding.
export async function userWith(cesid, username, role, environment) {
    const password = `the password of ${username}`;
    const { code, stderr } = await runToEnd(binary,
        ['-c', cesid.file, '--create-admin', username], { input: `${password}\n` });
    assert.equal(code, 0, stderr);
    await sql(cesid, `UPDATE bindings SET role = '${role}', environment = '${environment}' ` +
        `WHERE user_id = (SELECT id FROM users WHERE username = '${username}')`);
    const answer = await cesid.post('/auth/login', { username, password }, { token: null });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.token;
}
