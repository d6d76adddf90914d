// Users of other rights than the administrator's, on an SQLite store.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { binary } from './cesid.mjs';
import { runToEnd } from './system.mjs';

// SQL on the server's own database, beside it; the rows of the last statement.
export async function sqlite(cesid, sql, ...values) {
    const { code, stdout, stderr } = await runToEnd('python3', ['-c', `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
print(json.dumps(db.execute(sys.argv[2], json.loads(sys.argv[3])).fetchall()))
db.commit()
`, join(cesid.state, 'cesid.db'), sql, JSON.stringify(values)]);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
}

// A session's token of a new user with one binding.
export async function userWith(cesid, username, role, environment) {
    const password = `the password of ${username}`;
    const { code, stderr } = await runToEnd(binary,
        ['-c', cesid.file, '--create-admin', username], { input: `${password}\n` });
    assert.equal(code, 0, stderr);
    await sqlite(cesid, 'UPDATE bindings SET role = ?, environment = ? WHERE user_id = ' +
        '(SELECT id FROM users WHERE username = ?)', role, environment, username);
    const answer = await cesid.post('/auth/login', { username, password }, { token: null });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.token;
}
