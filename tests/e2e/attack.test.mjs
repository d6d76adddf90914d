// Attacks over HTTP: what a stranger may send, and what it must not cost or tell. The figures that
// these tests hold to are in tests/README.md.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Wire, parse, raw } from './lib/raw.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { slow, until } from './lib/wait.mjs';

const headerTimeout = 2, requestTimeout = 4, perAddress = 60, maxBody = 65536;
let node, cesid;
before(async () => {
    node = new Supervisord({ name: 'alpha', username: 'ops', password: 'not to be told',
        programs: { cat: programs.cat, sleeper: programs.sleeper } });
    await node.start();
    cesid = new Cesid({
        nodes: [nodeConfig(node)],
        config: { server: { header_timeout: headerTimeout, request_timeout: requestTimeout,
            connections_per_address: perAddress, max_body: maxBody } },
    });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs('alpha', 'up');
});
after(async () => {
    await cesid?.stop();
    node?.child?.kill();
});

// Nothing of the inside: paths, SQL, credentials, the caller's markup, the library's own pages.
function tellsNothing(text, what) {
    assert.doesNotMatch(text, /root:|\/tmp\/|\/var\/|\/home\/|\/work\/|\bSELECT\b|sqlite|civetweb|\.c:\d/i,
        what);
    assert.ok(!text.includes('not to be told') && !text.includes(cesid.adminPassword), what);
    assert.doesNotMatch(text, /<script>alert|<img src=x/i, what);
}

const request = (line, ...headers) =>
    `${line} HTTP/1.1\r\n${['Host: cesid', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`;

// Others' requests, answered at once whatever goes on, but for one that a busy machine may delay.
async function servesOthers(what) {
    const took = [];
    for (let i = 0; i < 3; i++) {
        const begin = performance.now();
        expectOk(await cesid.api('GET', '/nodes', {}));
        took.push((performance.now() - begin) / 1000);
    }
    took.sort((a, b) => a - b);
    assert.ok(took[1] < 1 * slow, `${what}: others waited ${took.map((s) => s.toFixed(2))} s`);
}

const descriptors = () => readdirSync(`/proc/${cesid.child.pid}/fd`).length;
const memory = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cesid.child.pid}/status`))[1]) / 1024;

test('R9.4 no path leads to a file', async () => {
    const up = ['..', '%2e%2e', '.%2e', '%2E%2E', '%252e%252e', '..%2f', '..%5c', '..;', '%c0%ae%c0%ae',
        '%u002e%u002e', '....', '.%00.', '..%00', '..\\'];
    let asked = 0;
    for (const prefix of ['', '/assets', '/api/v1', '/api/v1/nodes/alpha', '/static', '/%00'])
        for (const step of up)
            for (const file of ['etc/passwd', 'cesid.db', 'state/initial-admin-password']) {
                const path = `${prefix}/${`${step}/`.repeat(6)}${file}`;
                const answer = await raw(cesid, request(`GET ${path}`));
                asked++;
                tellsNothing(answer.text, path);
                expectProblem(answer, answer.status, { 400: 'bad_request', 401: 'unauthenticated',
                    404: 'not_found' }[answer.status]);
            }
    for (const path of ['/.git/config', '/.env', '/api/v1/../../etc/passwd', '/etc/passwd%00.js',
        '/assets/../../../../etc/passwd', '//etc/passwd.txt', '/assets/%2e%2e/%2e%2e/cesid.conf'])
        assert.ok([400, 404].includes((await raw(cesid, request(`GET ${path}`))).status), path);
    assert.ok(asked > 200);
});

test('R9.4 no name in a path, a query or a body is a file, a command or a statement', async () => {
    const names = ['../../etc/passwd', '/etc/passwd', 'file:///etc/passwd', '$(id)', '`id`', '; id',
        '| id', "' OR 1=1 --", '{{7*7}}', '${7*7}', '%n%n%n%s', '<script>alert(1)</script>',
        '\u202e', '\ud83d\udca9', 'a'.repeat(300)];
    for (const name of names) {
        const text = encodeURIComponent(name);
        for (const path of [`/nodes/${text}`, `/nodes/alpha/processes/${text}`,
            `/nodes/alpha/processes/${text}/log`, `/environments/${text}`, `/operations/${text}`,
            `/nodes?environment=${text}`, `/processes?q=${text}`, `/nodes?cursor=${text}`,
            `/activity?actor=${text}`, `/activity?cursor=${text}`]) {
            const answer = await cesid.api('GET', path);
            assert.ok([200, 400, 404, 422].includes(answer.status), `${path}: ${answer.text}`);
            tellsNothing(answer.text, path);
            assert.doesNotMatch(answer.text, /uid=\d|"49"/, path);
        }
        const made = await cesid.post('/nodes', { name, environment: 'test', url: name });
        expectProblem(made, 422, 'validation_failed');
        tellsNothing(made.text, name);
    }
    for (const url of ['file:///etc/passwd', 'unix:///run/supervisor.sock', 'gopher://127.0.0.1:70/',
        'http://user:pass@127.0.0.1:9001/RPC2', 'http://127.0.0.1:9001/\r\nX: y', 'javascript:alert(1)'])
        expectProblem(await cesid.post('/nodes', { name: 'evil', environment: 'test', url }), 422,
            'validation_failed');
});

test('R7.1 a target that is no path of ours has an answer', async () => {
    for (const line of ['OPTIONS *', 'GET *', 'GET http://elsewhere.example/healthz', 'GET https://x/',
        'POST http://x/api/v1/auth/login', 'CONNECT elsewhere.example:443', 'GET healthz',
        'OPTIONS http://x/'])
        expectProblem(await raw(cesid, request(line)), 400, 'bad_request');
    const own = `http://127.0.0.1:${cesid.port}`;
    assert.equal((await raw(cesid, request(`GET ${own}/healthz`))).status, 200);
    expectProblem(await raw(cesid, request(`GET ${own}/api/v1/nodes`)), 401, 'unauthenticated');
    // A request says whose it is (RFC 9112, 3.2), but for one of HTTP/1.0.
    expectProblem(await raw(cesid, 'GET /healthz HTTP/1.1\r\n\r\n'), 400, 'bad_request');
    assert.equal((await raw(cesid, 'GET /healthz HTTP/1.0\r\n\r\n')).status, 200);
    // Behind answered ones on the same connection, too.
    const wire = new Wire(cesid);
    wire.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' + request('OPTIONS *'));
    assert.deepEqual((await wire.end()).map((answer) => answer.status), [200, 400]);
});

test('R7.1 R7.5 whatever is sent, the answer is a problem or none, and tells nothing', async () => {
    const lines = ['GET', 'GET /', 'GET / HTTP/1.1 x', 'GET / HTTP/2.0',
        'GET / HTTP/1.', 'GET / ICY', 'PRI * HTTP/2.0', '\x16\x03\x01\x02\x00\x01', '\0\0\0\0',
        'SSH-2.0-OpenSSH', 'EHLO x', '{"json": true}', `${'A'.repeat(300)} / HTTP/1.1`,
        'GET /<script>alert(1)</script>%zz HTTP/1.1', 'G\x7fT / HTTP/1.1', 'GET /\x01 HTTP/1.1'];
    const headers = ['X: \0', 'No colon', ': empty', 'Bad Name: x', 'X: \x7f\x1b[31m', 'Héader: x',
        'Content-Length: x', 'Content-Length: -1', 'Content-Length: 1e3', 'Content-Length: 0x10',
        'Content-Length: 99999999999999999999', 'Transfer-Encoding: gzip',
        'Transfer-Encoding: chunked, chunked', 'Expect: 200-ok', 'Host: a\r\nHost: b',
        `X: ${'y'.repeat(20000)}`, `Cookie: ${'c=d; '.repeat(3000)}`,
        Array.from({ length: 90 }, (unused, i) => `H${i}: v`).join('\r\n')];
    const messages = [...lines.map((line) => `${line}\r\nHost: x\r\n\r\n`),
        ...headers.map((header) => request('POST /api/v1/auth/login', header,
            'Content-Type: application/json'))];
    for (let i = 0; i < 200; i++)
        messages.push(Buffer.concat([randomBytes(1 + i * 3), Buffer.from('\r\n\r\n')]));
    let silent = 0;
    for (const message of messages) {
        const wire = new Wire(cesid).write(message);
        wire.socket.end();
        const what = message.slice(0, 60).toString();
        const [answer, more] = await wire.end();
        if (!answer) {
            silent++;
            continue;
        }
        assert.equal(more, undefined, what);
        assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`);
        expectProblem(answer, answer.status, answer.json.code);
        tellsNothing(answer.text, what);
    }
    assert.ok(silent <= 2, `${silent} without a word`);
    await servesOthers('after nonsense');
});

test('R9.1 two requests are never hidden in one', async () => {
    const hidden = 'GET /api/v1/system HTTP/1.1\r\nHost: x\r\n\r\n';
    const login = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const many = Array.from({ length: 80 }, (unused, i) => `H${i}: v\r\n`).join('');
    for (const head of [
        `${login}Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}`,
        `${login}Content-Length: 2, 60\r\n\r\n{}`,
        `${login}Content-Length: +2\r\n\r\n{}`,
        `${login}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        `${login}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
        `${login}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
        `${login}${many}Content-Length: ${hidden.length}\r\n\r\n`,
        `${login}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`,
    ]) {
        const answers = await new Wire(cesid).write(head + hidden).end();
        assert.equal(answers.length, 1, `${head}: ${answers.map((each) => each.status)}`);
        assert.ok(answers[0].status >= 400, head);
        expectProblem(answers[0], answers[0].status, answers[0].json.code);
    }
});

test('R9.1 what is too much is refused before it is read', async () => {
    const json = { 'Content-Type': 'application/json' };
    const ask = (body, headers = json) => cesid.api('POST', '/auth/login', { body, headers });
    expectProblem(await ask('x'.repeat(maxBody + 1)), 413, 'body_too_large');
    expectProblem(await ask('['.repeat(maxBody)), 400, 'invalid_json');
    expectProblem(await ask(`{"a":`.repeat(5000)), 400, 'invalid_json');
    expectProblem(await ask(`{"username": 1e999, "password": "x"}`), 400, 'invalid_json');
    expectProblem(await ask(`{"username": "a\\u0000b", "password": "x"}`), 400, 'invalid_json');
    expectProblem(await ask('{}', { ...json, 'Content-Encoding': 'gzip' }), 415,
        'unsupported_media_type');
    expectProblem(await cesid.api('GET', `/nodes?${'q=x&'.repeat(4000)}`), 431, 'headers_too_large');
    expectProblem(await cesid.api('GET', `/nodes?q=${'x'.repeat(9000)}`), 414, 'uri_too_long');
    const before = memory();
    const chunk = `${maxBody.toString(16)}\r\n${'x'.repeat(maxBody)}\r\n`;
    const wire = new Wire(cesid).write('POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n' +
        'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 100 && wire.open; i++)
        wire.write(chunk);
    const [answer] = await wire.end();
    if (answer)
        expectProblem(answer, 413, 'body_too_large');
    assert.ok(memory() - before < 16 * slow, `${memory() - before} MiB more`);
});

test('R9.5 no header is injected, whatever is reflected', async () => {
    for (const id of ['a\rSet-Cookie: x=1', 'a%0d%0aSet-Cookie: x', 'a\tb']) {
        const answer = await raw(cesid, request('GET /healthz', `X-Request-ID: ${id}`));
        assert.ok(!('set-cookie' in answer.headers), id);
        assert.match(answer.headers['x-request-id'] ?? '', /^[A-Za-z0-9._-]*$/, id);
    }
    for (const path of ['/api/v1/nodes/a%0d%0aSet-Cookie:%20x=1', '/%0d%0aSet-Cookie:x=1',
        '/api/v1/nodes?q=%0d%0aSet-Cookie:x=1', '/api/v1/activity/export?format=csv%0d%0aX:y']) {
        const answer = await raw(cesid, request(`GET ${path}`,
            `Authorization: Bearer ${cesid.token}`));
        assert.ok(!('set-cookie' in answer.headers) && !('x' in answer.headers), path);
        assert.ok(answer.status < 500, path);
    }
    // A host of the caller's choice is believed nowhere.
    const moved = await raw(cesid, request('GET /api/v1/nodes', 'X-Forwarded-Host: evil.example'));
    assert.ok(!moved.text.includes('evil.example'));
});

test('R3.3 another site gets nothing: no shared resources, no forms, no sockets', async () => {
    const evil = { Origin: 'https://evil.example' };
    const answer = await cesid.post('/auth/login', { username: 'admin',
        password: cesid.adminPassword, cookie: true }, { token: null });
    const session = expectOk(answer);
    const cookie = { Cookie: answer.headers['set-cookie'][0].split(';')[0] };
    const token = null;
    for (const method of ['GET', 'OPTIONS', 'POST'])
        for (const path of ['/api/v1/nodes', '/api/v1/auth/me', '/api/v1/auth/login', '/', '/metrics']) {
            const reply = await cesid.request(method, path, { token, headers: { ...evil, ...cookie,
                'Access-Control-Request-Method': 'POST' } });
            assert.equal(Object.keys(reply.headers).find((name) =>
                name.startsWith('access-control-')), undefined, `${method} ${path}`);
            assert.equal(reply.headers['cross-origin-resource-policy'], 'same-origin');
            assert.equal(reply.headers['x-frame-options'], 'DENY');
        }
    const restart = '/nodes/alpha/processes/sleeper/restart';
    const { pid } = await cesid.process('alpha', 'sleeper');
    for (const headers of [{}, { 'X-CSRF-Token': '' }, { 'X-CSRF-Token': 'null' },
        { 'X-CSRF-Token': session.csrf_token.slice(0, -1) }])
        expectProblem(await cesid.post(restart, undefined, { token, headers: { ...cookie, ...headers } }),
            403, 'csrf');
    expectProblem(await cesid.post(restart, undefined, { token, headers: { ...cookie, ...evil,
        'X-CSRF-Token': session.csrf_token } }), 403, 'origin_denied');
    for (const type of ['text/plain', 'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x', 'application/jsonx', ''])
        expectProblem(await cesid.api('POST', '/auth/login', { token,
            body: `{"username": "admin", "password": "${cesid.adminPassword}"}`,
            headers: { ...evil, 'Content-Type': type } }), 415, 'unsupported_media_type');
    for (const origin of ['https://evil.example', 'null', `http://127.0.0.1.evil.example:${cesid.port}`,
        `http://127.0.0.1:${cesid.port}.evil.example`, `http://evil@127.0.0.1:${cesid.port + 1}`])
        await assert.rejects(cesid.socket({ token, headers: { ...cookie, Origin: origin } }),
            (error) => {
                expectProblem(error.answer, 403, 'origin_denied');
                return true;
            }, origin);
    assert.equal((await cesid.process('alpha', 'sleeper')).pid, pid);
});

test('R3.3 sessions are neither replayed nor forged', async () => {
    const mine = cesid.token;
    const login = async () => expectOk(await cesid.post('/auth/login', { username: 'admin',
        password: cesid.adminPassword }, { token: null })).token;
    const refused = async (token, why) => {
        const answer = await cesid.api('GET', '/auth/me', { token });
        assert.equal(answer.status, 401, why);
        expectProblem(answer, 401, answer.json.code);
        await assert.rejects(cesid.socket({ token }), why);
    };
    const ended = await login();
    assert.equal((await cesid.api('POST', '/auth/logout', { token: ended })).status, 204);
    await refused(ended, 'one that was ended');
    const [head, claims, mac] = mine.split('.');
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const open = (text) => JSON.parse(Buffer.from(text, 'base64url'));
    const other = { ...open(claims), jti: open((await login()).split('.')[1]).jti };
    await refused(`${head}.${encode(other)}.${mac}`, "another session's id");
    await refused(`${head}.${encode({ ...open(claims), exp: 9999999999 })}.${mac}`, 'for ever');
    for (const key of ['', 'secret', cesid.adminPassword, open(head).kid ?? 'kid', node.password]) {
        const sum = createHmac('sha256', key).update(`${head}.${claims}`).digest('base64url');
        await refused(`${head}.${claims}.${sum}`, `the key ${key.length}`);
    }
    for (const kid of ['../../../../dev/null', "' OR '1'='1", '', null, '0'.repeat(16)]) {
        const forged = encode({ ...open(head), kid });
        const sum = createHmac('sha256', '').update(`${forged}.${claims}`).digest('base64url');
        await refused(`${forged}.${claims}.${sum}`, `the key's name ${kid}`);
    }
    for (const alg of ['none', 'None', 'hs256', 'RS256', 'HS384', ''])
        await refused(`${encode({ ...open(head), alg })}.${claims}.${mac}`, alg);
    await refused(`${mine}=`, 'padded');
    await refused(`${mine}.x`, 'with more');
    await refused(mine.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A')), 'a bit changed');
    const stranger = new Cesid();
    await stranger.start();
    await stranger.login();
    await refused(stranger.token, "another cesid's");
    await stranger.stop();
    assert.equal((await cesid.get('/auth/me')).username ?? 'admin', 'admin');
});

test('R8.5 slow headers and slow bodies are cut off, and nobody waits for them', async () => {
    const count = 25;
    const dripping = Array.from({ length: count }, () => new Wire(cesid, { from: '127.0.0.2' })
        .write('GET /api/v1/nodes HTTP/1.1\r\n').drip('X: y\r\n', 0.3));
    const silent = Array.from({ length: count }, () => new Wire(cesid, { from: '127.0.0.3' }));
    const bodies = Array.from({ length: count }, () => new Wire(cesid, { from: '127.0.0.4' })
        .write('POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n' +
            'Content-Type: application/json\r\n\r\n{').drip(' ', 0.3));
    const chunks = Array.from({ length: count }, () => new Wire(cesid, { from: '127.0.0.5' })
        .write('POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n' +
            'Content-Type: application/json\r\n\r\n').drip('1\r\n \r\n', 0.3));
    await servesOthers('beside slow ones');
    for (const [wires, limit] of [[dripping, headerTimeout], [silent, headerTimeout],
        [bodies, requestTimeout], [chunks, requestTimeout]])
        for (const wire of wires) {
            const [answer] = await wire.end(limit + 10);
            assert.ok(wire.took < (limit + 4) * slow, `${wire.took} s instead of ${limit}`);
            if (answer)
                expectProblem(answer, 408, 'request_timeout');
            else
                assert.ok(wires === silent, 'an answer to who said something');
        }
    await servesOthers('after slow ones');
});

test('R8.2 a flood of connections from one address keeps out nobody else', async () => {
    const before = descriptors();
    const flood = Array.from({ length: 400 }, () => new Wire(cesid, { from: '127.0.0.6' }));
    await until('the surplus is refused', () =>
        flood.filter((wire) => wire.open).length <= perAddress);
    const { text } = flood.find((wire) => !wire.open);
    assert.match(text, /^HTTP\/1\.1 503 /);
    assert.match(text, /\r\nRetry-After: [1-9]/);
    const [head, body] = text.split('\r\n\r\n');
    const problem = JSON.parse(body);
    assert.deepEqual([problem.status, problem.code], [503, 'too_many_clients']);
    assert.ok(head.includes(`\r\nX-Request-ID: ${problem.request_id}\r\n`), head);
    await servesOthers('beside a flood');
    assert.ok(descriptors() <= before + perAddress + 5, `${descriptors() - before}`);
    await until('the rest is closed for its silence', () => flood.every((wire) => !wire.open),
        headerTimeout + 20);
    // As fast as they come and go.
    for (let round = 0; round < 5; round++) {
        const burst = Array.from({ length: 50 }, () => new Wire(cesid, { from: '127.0.0.6' })
            .write('GET / HTTP/1.1\r\n'));
        burst.forEach((wire) => wire.destroy());
    }
    await servesOthers('after a flood');
    await until('no descriptor is left behind', () => descriptors() <= before + 5, 15);
    await until('the log has it', () =>
        cesid.log.includes('connection refused: too many from one address'));
});

test('R8.2 who does not read holds up nobody', async () => {
    const before = memory();
    const greedy = Array.from({ length: 20 }, () => {
        const wire = new Wire(cesid, { from: '127.0.0.7' });
        wire.socket.pause();
        return wire.write('GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100));
    });
    await servesOthers('beside those who do not read');
    assert.ok(memory() - before < 64 * slow, `${memory() - before} MiB more`);
    greedy.forEach((wire) => wire.destroy());
});

test('many passwords are not tried quickly, and the log tells none', async () => {
    const strict = new Cesid({ config: { auth: { login_attempts: 5, lockout: 60 } } });
    await strict.start();
    const answers = await Promise.all(Array.from({ length: 30 }, (unused, i) =>
        strict.post('/auth/login', { username: 'admin', password: `guess-${i}-guess` },
            { token: null })));
    const codes = answers.map((answer) => answer.json.code);
    assert.ok(codes.filter((code) => code === 'invalid_credentials').length <= 5, `${codes}`);
    assert.ok(codes.every((code) => ['invalid_credentials', 'locked_out', 'rate_limited']
        .includes(code)), `${codes}`);
    expectProblem(await strict.post('/auth/login', { username: 'admin',
        password: strict.adminPassword }, { token: null }), 429, 'locked_out');
    assert.ok(!strict.log.includes('-guess') && !strict.log.includes(strict.adminPassword));
    await strict.stop();
});

test('R7.5 R9.5 after all of it the log is clean, and whole', () => {
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(cesid.log, /[\x00-\x08\x0b-\x1f]/);
    assert.ok(!cesid.log.includes(cesid.token) && !cesid.log.includes('not to be told'));
    assert.doesNotMatch(cesid.log, /"?request failed/);
    assert.equal(parse('').length, 0);
});
