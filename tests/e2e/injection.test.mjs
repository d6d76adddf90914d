// Text that would be SQL, were it ever put into a statement: it goes in, comes out unchanged, and
// nothing else happens. The same on SQLite and on a real MariaDB.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid, run } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Mariadb } from './lib/mariadb.mjs';
import { Description } from './lib/openapi.mjs';
import { until } from './lib/wait.mjs';

const texts = [
    '\'; DROP TABLE users; --', '" OR ""="', '\\\' OR 1=1 #', 'ends in a backslash \\', '\'\'',
    '100%_sure% `users`', 'x\' UNION SELECT password_hash FROM users WHERE \'a\'=\'a',
    '/*!50000 */ ?1 :name @v $1 ?', 'NULL', '𝄞 ünïcödé 日本語 \u{1F600}',
    '<b>{{7*7}}</b> ${x} $(id)', 'a\'||(SELECT 1)||\'b',
];

let mariadb;
before(async () => {
    mariadb = await new Mariadb().create();
});
after(() => mariadb?.stop());

async function begin(store) {
    const cesid = new Cesid({ config: store ? { store } : {} });
    await cesid.start();
    await cesid.login();
    return cesid;
}

// Everything that is kept, but for the record of what is done.
async function kept(cesid) {
    const lists = {};
    for (const what of ['users', 'roles', 'bindings', 'tokens', 'nodes'])
        lists[what] = (await cesid.get(`/${what}?limit=1000`)).items.map((item) =>
            ({ ...item, last_login_at: null, last_used_at: null, last_refresh: null, since: null,
                latency: null, cause: null, hint: null, state: null, breaker: null, revision: 0 }));
    return lists;
}

async function passwords(cesid, username, text, password) {
    const signIn = (who, secret) => cesid.post('/auth/login',
        { username: who, password: secret }, { token: null });
    const { token } = expectOk(await signIn(username, password));
    expectProblem(await signIn(username, text), 401, 'invalid_credentials');
    expectProblem(await signIn(text, password), 401, 'invalid_credentials');
    expectOk(await cesid.api('PUT', '/auth/password', { token,
        body: { old: password, new: `${password} ${text}` } }), 204);
    expectOk(await signIn(username, `${password} ${text}`));
}

async function roundTrip(cesid) {
    await Promise.all(texts.map(async (text, i) => {
        const username = `user-${i}`;
        const email = `${text.replaceAll(' ', '')}@x`;
        const password = `${text} and ten more`;
        const user = expectOk(await cesid.post('/users',
            { username, password, full_name: text, email }), 201);
        assert.deepEqual([user.full_name, user.email], [text, email]);
        const patched = expectOk(await cesid.api('PATCH', `/users/${username}`,
            { body: { full_name: `${text}!`, email: '' } }));
        assert.equal(patched.full_name, `${text}!`);
        if (i < 3) // a hash takes its time
            await passwords(cesid, username, text, password);
        const shown = await cesid.get(`/users/${username}`);
        assert.deepEqual({ ...shown, last_login_at: null }, patched);

        const made = expectOk(await cesid.post('/tokens', { name: text }), 201);
        assert.equal(made.name, text);
        assert.ok((await cesid.get('/tokens')).items.some(({ id, name }) =>
            id === made.id && name === text));

        const node = expectOk(await cesid.post('/nodes', {
            name: `node-${i}`, environment: 'test', url: 'http://127.0.0.1:1/RPC2', enabled: false,
            username: text.replaceAll(':', ''), password: text, labels: { text },
        }), 201);
        assert.deepEqual(node.labels, { text });

        // What the record keeps of a request is text, too.
        const agent = text.replaceAll(/[^ -~]/g, '').trim();
        const marked = { 'X-Request-ID': `mark-${i}`, 'User-Agent': agent };
        expectOk(await cesid.api('PATCH', `/nodes/node-${i}`,
            { body: { labels: { text, again: text } }, headers: marked }));
        const record = await until('the record', async () =>
            (await cesid.get('/activity?action=node.update')).items
                .find(({ request_id: id }) => id === `mark-${i}`));
        assert.equal(record.user_agent, agent);
    }));
}

// As a condition none of them is more than a text that nothing has.
async function filters(cesid) {
    await Promise.all(texts.map(async (text) => {
        const value = encodeURIComponent(text);
        for (const path of ['/activity?actor=', '/activity?action=', '/nodes?q=', '/processes?q=',
            '/nodes?environment=', '/processes?node=']) {
            const answer = await cesid.api('GET', path + value);
            if (answer.status === 200)
                assert.deepEqual(answer.json.items, [], `${path}${text}`);
            else
                expectProblem(answer, 422, 'validation_failed');
        }
        // The token of that name was made; a target is a glob.
        const glob = encodeURIComponent(text.replaceAll(/[\\*?[\]]/g, '\\$&'));
        const { items } = await cesid.get(`/activity?target=${glob}`);
        assert.deepEqual(items.map(({ action, target }) => [action, target]),
            [['token.create', text]]);
        for (const [method, path] of [['GET', '/users/'], ['GET', '/roles/'], ['GET', '/nodes/'],
            ['GET', '/operations/'], ['GET', '/environments/'], ['DELETE', '/users/'],
            ['DELETE', '/roles/'], ['DELETE', '/bindings/'], ['DELETE', '/tokens/'],
            ['DELETE', '/nodes/']]) {
            const answer = await cesid.api(method, path + value);
            assert.ok([400, 404].includes(answer.status), `${method} ${path}${text}: ${answer.text}`);
        }
    }));
}

// Every text of every body and query, one at a time, beside fields that are missing.
async function everyField(cesid) {
    const api = await Description.of(cesid);
    const isText = (schema) => schema.type === 'string' ||
        (schema.type === 'array' && schema.items.type === 'string');
    let tried = 0;
    await Promise.all(api.operations.map(async (operation) => {
        const path = operation.path.replaceAll(/{\w+}/g, 'nothing');
        for (const { name } of api.parameters(operation, 'query').filter((each) =>
            isText(each.schema) && operation.method === 'GET')) {
            for (const text of texts.slice(0, 4)) {
                const answer = await cesid.request('GET',
                    `${path}?${name}=${encodeURIComponent(text)}`);
                assert.ok(answer.status < 500, `${path} ${name}=${text}: ${answer.text}`);
                tried++;
            }
        }
        const body = api.body(operation);
        for (const [name, schema] of Object.entries(body?.properties ?? {})) {
            if (!isText(schema) || (body.required ?? []).length < 2)
                continue;
            for (const text of texts.slice(0, 4)) {
                const answer = await cesid.request(operation.method, path,
                    { body: { [name]: schema.type === 'array' ? [text] : text } });
                assert.ok([401, 404, 409, 422].includes(answer.status),
                    `${operation.method} ${path} ${name}=${text}: ${answer.text}`);
                tried++;
            }
        }
    }));
    assert.ok(tried > 100, `${tried}`);
}

for (const backend of ['SQLite', 'MariaDB']) {
    test(`R9.2 R9.5 text that looks like SQL stays text, on ${backend}`, async () => {
        const cesid = await begin(backend === 'MariaDB' ? await mariadb.store() : undefined);
        await roundTrip(cesid);
        const before = await kept(cesid);
        assert.equal(before.users.length, texts.length + 1);
        await filters(cesid);
        await everyField(cesid);
        assert.deepEqual(await kept(cesid), before);

        // Read back by another process: it is on record as it was sent.
        await cesid.stop();
        cesid.stopped = false;
        await cesid.start();
        assert.deepEqual(await kept(cesid), before);
        await cesid.stop();
        const { code, stdout, stderr } = await run('--verify-activity', '-c', cesid.file);
        assert.equal(code, 0, stdout + stderr);
    });
}
