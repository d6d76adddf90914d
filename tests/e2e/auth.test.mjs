// Who may come in, and how those are told who may not.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { raw } from './lib/raw.mjs';
import { until, within } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

test('R3.1 R3.5 the code has one authentication check, called from one place', () => {
    const root = new URL('../..', import.meta.url).pathname;
    const find = (pattern) => execFileSync('grep', ['-rnE', pattern, 'src', '--include=*.c'],
        { cwd: root, encoding: 'utf8' }).trim().split('\n');
    const calls = find('\\bauth_check\\(').filter((line) => !/^src\/domain\//.test(line));
    assert.equal(calls.length, 1, calls.join('\n'));
    // The headers that carry credentials are read in one file.
    for (const header of ['request_header\\(request, "Authorization"', 'request_header\\(request, "Cookie"'])
        assert.deepEqual(find(header).map((line) => line.split(':')[0]),
            ['src/http/credentials.c']);
});

test('the first start makes an administrator and writes the password to one private file', () => {
    const file = join(cesid.state, 'initial-admin-password');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, 'utf8'), /^\S{12,}\n$/);
    assert.ok(cesid.log.includes('initial-admin-password'));
    assert.ok(!cesid.log.includes(cesid.adminPassword));
    for (const name of readdirSync(cesid.state))
        assert.equal(statSync(join(cesid.state, name)).mode & 0o077, 0, `${name} is private`);
});

test('login gives a token, me says whose it is, logout ends it at once', async () => {
    const answer = await cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword }, { token: null });
    const session = expectOk(answer);
    assert.equal(answer.headers['set-cookie'], undefined);
    assert.equal(session.user.username, 'admin');
    assert.match(session.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(!answer.text.includes(cesid.adminPassword));

    const { token } = session;
    const me = expectOk(await cesid.api('GET', '/auth/me', { token }));
    assert.equal(me.user.id, session.user.id);
    assert.equal(me.csrf_token, session.csrf_token);
    assert.equal(me.permissions[0].environment, '*');
    assert.ok(me.permissions[0].permissions.includes('system:admin'));
    assert.deepEqual(Object.keys(claimsOf(token)).sort(), ['exp', 'iat', 'iss', 'jti', 'sub']);

    expectOk(await cesid.post('/auth/logout', undefined, { token }), 204);
    expectProblem(await cesid.api('GET', '/auth/me', { token }), 401, 'unauthenticated');
    // Another session of the same user is another session.
    await cesid.get('/auth/me');
});

test('R3.4 an unknown user and a wrong password get the very same answer', async () => {
    const wrong = await cesid.post('/auth/login',
        { username: 'admin', password: 'nope-nope-nope' }, { token: null });
    const unknown = await cesid.post('/auth/login',
        { username: 'nobody', password: 'nope-nope-nope' }, { token: null });
    expectProblem(wrong, 401, 'invalid_credentials');
    expectProblem(unknown, 401, 'invalid_credentials');
    const bare = ({ json }) => ({ ...json, request_id: '' });
    assert.deepEqual(bare(wrong), bare(unknown));
});

test('R3.2 R3.3 every route looks at credentials the same way, streams included', async () => {
    const [head, claims, mac] = cesid.token.split('.');
    const forged = createHmac('sha256', 'secret').update(`${head}.${claims}`).digest('base64url');
    const bad = {
        none: null,
        empty: '',
        garbage: 'x'.repeat(40),
        huge: 'x'.repeat(6000),
        cut: cesid.token.slice(0, -1),
        'another key': `${head}.${claims}.${forged}`,
        'no algorithm': `${encode({ alg: 'none', typ: 'JWT' })}.${claims}.`,
        'another algorithm': `${encode({ alg: 'HS512', typ: 'JWT' })}.${claims}.${mac}`,
        'another user': `${head}.${encode({ ...claimsOf(cesid.token), sub: '0'.repeat(32) })}.${mac}`,
    };
    const routes = [
        ['GET', '/auth/me'], ['POST', '/auth/logout'], ['GET', '/nodes'], ['GET', '/nodes/alpha'],
        ['GET', '/nodes/nowhere'], ['POST', '/nodes/alpha/refresh'],
        ['GET', '/nodes/alpha/processes'], ['GET', '/processes'], ['GET', '/processes/summary'],
        ['POST', '/nodes/alpha/processes/cat:cat/restart'],
        ['POST', '/nodes/alpha/processes/nothing:nothing/stop'],
        ['GET', '/nodes/alpha/processes/ticker/log'],
        ['GET', '/nodes/alpha/processes/ticker/log/follow'], ['POST', '/nodes/alpha/stop-all'],
        ['GET', '/groups'], ['GET', '/environments'], ['GET', '/system'],
        ['GET', '/events?topics=fleet'], ['GET', '/ws'],
    ];
    for (const [why, token] of Object.entries(bad)) {
        for (const [method, path] of routes) {
            const answer = await cesid.api(method, path, {
                token: null,
                headers: token === null ? {} : { Authorization: `Bearer ${token}` },
            });
            const problem = expectProblem(answer, 401, 'unauthenticated');
            assert.ok(problem, `${why}: ${method} ${path}`);
        }
    }
    // The WebSocket's handshake too, when it is a real one.
    await assert.rejects(cesid.socket({ token: bad.garbage }), (error) => {
        expectProblem(error.answer, 401, 'unauthenticated');
        return true;
    });
    assert.equal((await cesid.process('alpha', 'cat:cat')).state, 'RUNNING');
});

test('what stands behind a token is not overlooked', async () => {
    for (const [behind, status] of [['', 200], [' ', 200], [' x', 401], [',', 401]]) {
        const answer = await raw(cesid, 'GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\n' +
            `Authorization: Bearer ${cesid.token}${behind}\r\nConnection: close\r\n\r\n`);
        assert.equal(answer.status, status, JSON.stringify(behind));
    }
});

test('a token in the query string is no credential', async () => {
    for (const key of ['token', 'access_token', 'cesid_session']) {
        const answer = await cesid.api('GET', `/auth/me?${key}=${cesid.token}`, { token: null });
        assert.equal(answer.status, 401, answer.text);
        await assert.rejects(cesid.socket({ token: null, path: `/api/v1/ws?${key}=${cesid.token}` }));
    }
    assert.ok(!cesid.log.includes(cesid.token));
});

test('a cookie session is strict, hidden from scripts and needs the CSRF token', async () => {
    const answer = await cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword, cookie: true }, { token: null });
    const session = expectOk(answer);
    assert.equal(session.token ?? null, null);
    const [cookie] = answer.headers['set-cookie'];
    assert.match(cookie, /^cesid_session=[^;]+/);
    assert.match(cookie, /;\s*HttpOnly/i);
    assert.match(cookie, /;\s*SameSite=Strict/i);
    assert.doesNotMatch(cookie, /;\s*Secure/i);

    const headers = { Cookie: `other=1; ${cookie.split(';')[0]}` };
    const options = { token: null, headers };
    expectOk(await cesid.api('GET', '/auth/me', options));
    expectProblem(await cesid.post('/nodes/alpha/refresh', undefined, options), 403, 'csrf');
    expectProblem(await cesid.post('/nodes/alpha/refresh', undefined,
        { token: null, headers: { ...headers, 'X-CSRF-Token': 'f'.repeat(32) } }), 403, 'csrf');
    const fine = await cesid.post('/nodes/alpha/refresh', undefined,
        { token: null, headers: { ...headers, 'X-CSRF-Token': session.csrf_token } });
    assert.ok(fine.status < 300, fine.text);

    // A bearer token goes before the cookie, also when it is wrong.
    expectProblem(await cesid.api('GET', '/auth/me',
        { token: null, headers: { ...headers, Authorization: 'Bearer nonsense' } }),
    401, 'unauthenticated');

    // Another site's page cannot use the cookie for a WebSocket or an event stream.
    await assert.rejects(cesid.socket({
        token: null, headers: { ...headers, Origin: 'http://evil.example.org' },
    }), (error) => {
        expectProblem(error.answer, 403, 'origin_denied');
        return true;
    });
    const socket = await cesid.socket({ token: null, headers: { ...headers, Origin: cesid.url } });
    await socket.next('hello', (message) => message.type === 'hello');
    await socket.close();

    const out = await cesid.post('/auth/logout', undefined,
        { token: null, headers: { ...headers, 'X-CSRF-Token': session.csrf_token } });
    assert.equal(out.status, 204, out.text);
    expectProblem(await cesid.api('GET', '/auth/me', options), 401, 'unauthenticated');
});

test('an ended session closes its WebSocket', async () => {
    const { token } = expectOk(await cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword }, { token: null }));
    const socket = await cesid.socket({ token });
    await socket.subscribe('fleet');
    expectOk(await cesid.post('/auth/logout', undefined, { token }), 204);
    const { code } = await within('the close', socket.closed, 30);
    assert.equal(code, 1008);
});

test('a session ends when its time is over, and survives a restart until then', async () => {
    const other = new Cesid({ config: { auth: { session_ttl: 60.0, login_attempts: 100 } } });
    await other.start();
    await other.login();
    const claims = claimsOf(other.token);
    assert.ok([60, 61].includes(claims.exp - claims.iat)); // whole seconds, never too early
    await other.stop();

    const again = new Cesid({ config: { auth: { session_ttl: 5.0 } } });
    Object.assign(again, { directory: other.directory, state: other.state, file: other.file,
        store: other.store });
    await again.start();
    again.token = other.token;
    await again.get('/auth/me');
    const { token } = await again.login();
    const socket = await again.socket();
    await until('the session is over', async () =>
        (await again.api('GET', '/auth/me', { token })).status === 401);
    expectProblem(await again.api('GET', '/auth/me', { token }), 401, 'session_expired');
    expectProblem(await again.api('GET', '/ws', { token }), 401, 'session_expired');
    const { code } = await within('the close', socket.closed, 30);
    assert.equal(code, 1008);
    await again.stop();
});

test('guessing passwords locks the door for a while', async () => {
    const other = new Cesid({ config: { auth: { login_attempts: 3, lockout: 60.0 } } });
    await other.start();
    const guess = (username) => other.post('/auth/login', { username, password: 'wrong-wrong-1' },
        { token: null });
    for (let i = 0; i < 3; i++)
        expectProblem(await guess('admin'), 401, 'invalid_credentials');
    const locked = await guess('admin');
    expectProblem(locked, 429, 'locked_out');
    assert.ok(Number(locked.headers['retry-after']) <= 60);
    // The right password too, or the lock would tell when it was guessed.
    expectProblem(await other.post('/auth/login',
        { username: 'admin', password: other.adminPassword }, { token: null }), 429, 'locked_out');
    await other.stop();
});

test('many logins at once are all answered, none with an internal error', async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, () => cesid.post('/auth/login',
        { username: 'admin', password: cesid.adminPassword }, { token: null })));
    for (const answer of answers) {
        if (answer.status !== 200)
            expectProblem(answer, 429, 'rate_limited');
    }
    assert.ok(answers.some((answer) => answer.status === 200));
});
