// Errors: one shape, fitting statuses, and nothing that helps an attacker.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { raw } from './lib/raw.mjs';
import { until } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

test('R7.1 R7.2 every kind of mistake has its status and its code', async () => {
    const login = '/auth/login';
    const good = { username: 'admin', password: 'x' };
    const json = { 'Content-Type': 'application/json' };
    const cases = [
        ['GET', '/nothing', {}, 404, 'not_found'],
        ['GET', '/nodes/', {}, 404, 'not_found'],
        ['GET', '/nodesx', {}, 404, 'not_found'],
        ['DELETE', '/processes', {}, 405, 'method_not_allowed'],
        ['POST', '/processes/summary', {}, 405, 'method_not_allowed'],
        ['GET', login, {}, 405, 'method_not_allowed'],
        ['POST', login, { body: '{', headers: json }, 400, 'invalid_json'],
        ['POST', login, { body: '', headers: json }, 422, 'validation_failed'],
        ['POST', login, { body: '{"username": "a", "username": "b", "password": "c"}',
            headers: json }, 400, 'invalid_json'],
        ['POST', login, { body: Buffer.from('{"username": "\xff", "password": "x"}', 'latin1'),
            headers: json }, 400, 'invalid_json'],
        ['POST', login, { body: '{"username": "a", "password": "b"} x', headers: json },
            400, 'invalid_json'],
        ['POST', login, { body: '['.repeat(10000), headers: json }, 400, 'invalid_json'],
        ['POST', login, { body: '[]', headers: json }, 422, 'validation_failed'],
        ['POST', login, { body: { username: 'a' } }, 422, 'validation_failed'],
        ['POST', login, { body: { ...good, extra: 1 } }, 422, 'validation_failed'],
        ['POST', login, { body: { username: 1, password: 'x' } }, 422, 'validation_failed'],
        ['POST', login, { body: JSON.stringify(good), headers: { 'Content-Type': 'text/plain' } },
            415, 'unsupported_media_type'],
        ['POST', login, { body: JSON.stringify(good) }, 415, 'unsupported_media_type'],
        ['POST', login, { body: { ...good, password: 'x'.repeat(1100000) } },
            413, 'body_too_large'],
        ['GET', '/nodes?limit=0', {}, 422, 'validation_failed'],
        ['GET', '/nodes?limit=1001', {}, 422, 'validation_failed'],
        ['GET', '/nodes?limit=ten', {}, 422, 'validation_failed'],
        ['GET', '/nodes?cursor=%FF', {}, null, null],
        ['GET', '/nodes?unknown=1', {}, 422, 'validation_failed'],
        ['GET', '/nodes?state=sideways', {}, 422, 'validation_failed'],
        ['GET', '/processes?state=RUNNING,SIDEWAYS', {}, 422, 'validation_failed'],
        ['GET', '/processes?sort=colour', {}, 422, 'validation_failed'],
        ['POST', '/nodes/alpha/processes/cat/signal', { body: {} }, 422, 'validation_failed'],
        ['POST', '/nodes/alpha/processes/cat/stdin', { body: { data: 7 } },
            422, 'validation_failed'],
        ['POST', '/nodes/alpha/processes/cat/restart', { headers: { Prefer: 'wait=soon' } },
            null, null],
    ];
    for (const [method, path, options, status, code] of cases) {
        const answer = await cesid.api(method, path, options);
        if (status !== null) {
            expectProblem(answer, status, code);
            if (status === 405)
                assert.ok(answer.headers.allow, `${method} ${path} tells what is allowed`);
        } else {
            assert.ok(answer.status < 500, `${path}: ${answer.text}`);
        }
    }
    const allow = (await cesid.api('PUT', '/nodes/alpha/processes')).headers.allow.split(/, */);
    assert.deepEqual(allow.sort(), ['GET', 'HEAD']);
});

test('R7.3 a validation error names every field that is wrong and why', async () => {
    const answer = await cesid.api('GET', '/processes?limit=0&state=SIDEWAYS&nonsense=1');
    const problem = expectProblem(answer, 422, 'validation_failed');
    assert.deepEqual(problem.errors.map((error) => error.field).sort(),
        ['limit', 'nonsense', 'state']);
    for (const error of problem.errors) {
        assert.match(error.code, /^[a-z_]+$/);
        assert.ok(error.message.length > 3);
    }
    const body = await cesid.post('/auth/login', { username: 5, nonsense: true }, { token: null });
    const fields = expectProblem(body, 422, 'validation_failed').errors.map((e) => e.field);
    assert.deepEqual(fields.sort(), ['nonsense', 'password', 'username']);

    const select = { nodes: ['*'] };
    for (const [method, path, sent, wrong] of [
        ['POST', '/users', { username: '-x', password: 'short', email: 'nomail' },
            ['email', 'password', 'username']],
        ['POST', '/users', { username: 'x', password: 'aaaaaaaaaa', email: 'nomail' },
            ['email', 'password']],
        ['POST', '/nodes', { name: '-x', environment: 'prod', url: 'ftp://x', username: 'a:b' },
            ['name', 'url', 'username']],
        ['POST', '/tokens', { name: '', expires_at: '2001-01-01', scope: ['bogus'] },
            ['expires_at', 'name', 'scope/0']],
        ['POST', '/bindings', { user: 'no', role: 'no', environment: '*' }, ['role', 'user']],
        ['POST', '/operations', { action: 'signal', select: {}, parallelism: 0 },
            ['parallelism', 'select', 'signal']],
        ['POST', '/operations', { action: 'stop', select, signal: 'HUP', timeout: 0 },
            ['signal', 'timeout']],
        ['POST', '/operations', { action: 'stop', select: { nodes: [''] } }, ['select.nodes/0']],
        ['POST', '/operations', { action: 'stop', selection: {} }, ['select', 'selection']],
        ['GET', '/activity?limit=0&since=x&until=y&cursor=x', undefined,
            ['cursor', 'limit', 'since', 'until']],
        ['GET', '/activity?limit=0&cursor=YWJj', undefined, ['cursor', 'limit']],
        ['GET', '/processes?limit=0&cursor=YWJj', undefined, ['cursor', 'limit']],
        ['PUT', '/auth/password', { old: 5, new: 'short' }, ['new', 'old']],
    ]) {
        const { errors } = expectProblem(await cesid.api(method, path, { body: sent }), 422,
            'validation_failed');
        assert.deepEqual(errors.map((error) => error.field).sort(), wrong, path);
    }
});

test('a refused address of a node, which may hold a password, is not on record', async () => {
    for (const url of ['http://ops:S3cret@10.0.0.1:9001/RPC2', 'http://h/?token=S3cret'])
        expectProblem(await cesid.post('/nodes', { name: 's3', environment: 'test', url }), 422,
            'validation_failed');
    assert.doesNotMatch((await cesid.api('GET', '/activity/export?format=jsonl')).text, /S3cret/);
});

test('R9.1 paths are decoded once, segment by segment', async () => {
    for (const path of ['/nodes/%00', '/nodes/al%2Fpha', '/nodes/..%2f', '/nodes/%2e%2e',
        '/nodes/../nodes', '/nodes/./alpha', '/nodes/%', '/nodes/%zz', '/nodes/%ff',
        '/nodes//alpha', '/nodes/alpha%00', '/nodes/alpha;x', '/nodes/alpha/processes/%',
        '/nodes/%2561lpha']) {
        const answer = await raw(cesid, `GET /api/v1${path} HTTP/1.1\r\nHost: x\r\n` +
            `Authorization: Bearer ${cesid.token}\r\nConnection: close\r\n\r\n`);
        assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
        expectProblem(answer, answer.status, answer.status === 400 ? 'bad_request' : 'not_found');
    }
    for (const query of ['q=%zz', 'q=%ff', 'q=%', '%zz=1']) {
        const answer = await raw(cesid, `GET /api/v1/nodes?${query} HTTP/1.1\r\nHost: x\r\n` +
            `Authorization: Bearer ${cesid.token}\r\nConnection: close\r\n\r\n`);
        assert.match(expectProblem(answer, 400, 'bad_request').detail, /^The query is malformed/);
    }
    const process = encodeURIComponent('workers:crunch_00');
    assert.equal((await cesid.get(`/nodes/gamma/processes/${process}`)).id, 'workers:crunch_00');
    assert.equal((await cesid.get('/nodes/%61lpha')).name, 'alpha');
});

test('R7.1 R7.5 errors from below the dispatcher have the same shape and tell nothing', async () => {
    const bad = [
        'GARBAGE\r\n\r\n',
        'GET /api/v1/nodes HTTP/9.9\r\nHost: x\r\n\r\n',
        'BREW /api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        `GET /${'x'.repeat(20000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(30000)}\r\nConnection: close\r\n\r\n`,
        'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n' +
            'Connection: close\r\n\r\n',
        'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n' +
            'Connection: close\r\n\r\n',
        'GET /.env HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        'TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        'CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
        'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
        'GET http://elsewhere.example/ HTTP/1.1\r\nHost: x\r\n\r\n',
    ];
    for (const bytes of bad) {
        const answer = await raw(cesid, bytes);
        assert.ok(answer.status >= 400 && answer.status < 500,
            `${bytes.slice(0, 40)}: ${answer.status} ${answer.text}`);
        assert.doesNotMatch(answer.text, /civetweb|root:/i);
        expectProblem(answer, answer.status, answer.json.code);
    }
    expectOk(await cesid.api('GET', '/nodes'));
});

test('R7.3 a method that nobody knows is refused like one that the resource does not have', async () => {
    const ask = (line) => raw(cesid, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    for (const method of ['BREW', 'TRACE', 'get', 'X-Y_Z']) {
        const answer = await ask(`${method} /api/v1/nodes?limit=1`);
        expectProblem(answer, 405, 'method_not_allowed');
        assert.equal(answer.headers.allow, 'GET, HEAD, POST', method);
        expectProblem(await ask(`${method} /api/v1/nothing`), 404, 'not_found');
        expectProblem(await ask(`${method} /api/v1/%zz`), 400, 'bad_request');
    }
    for (const line of ['BREW', 'BREW ', 'BREW x', 'B"REW /api/v1/nodes', 'BREW\t/api/v1/nodes',
        'BREW  /api/v1/nodes'])
        assert.ok([400, 405].includes((await ask(line)).status), line);
});

test('R10.2 a sane request id is kept, another is replaced', async () => {
    const ask = async (id) => (await cesid.api('GET', '/nodes',
        { headers: id === undefined ? {} : { 'X-Request-ID': id } })).headers['x-request-id'];
    assert.equal(await ask('Story_1.2-3'), 'Story_1.2-3');
    assert.equal(await ask('x'.repeat(64)), 'x'.repeat(64));
    for (const bad of [undefined, '', 'x'.repeat(65), 'a b', 'a"b', '<b>', 'é'])
        assert.match(await ask(bad), /^[A-Za-z0-9._-]{8,64}$/);
    assert.notEqual(await ask(), await ask());
});

test('R9.5 what a caller sends is escaped in the log', async () => {
    await raw(cesid, 'GET /api/v1/nodes/%1b[31mred%0d%0aforged: line HTTP/1.1\r\nHost: x\r\n' +
        'Connection: close\r\n\r\n');
    await cesid.post('/auth/login', { username: 'evil\n2026 error forged\x1b[2J', password: 'x' },
        { token: null });
    await cesid.get('/nodes');
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(cesid.log, /[\x00-\x08\x0b-\x1f]/);
    assert.ok(!cesid.log.split('\n').some((line) => /^(forged|2026 error)/.test(line)));
});

test('R9.2 what looks like SQL is only a name', async () => {
    for (const text of ["' OR '1'='1", "admin'--", '"; DROP TABLE users; --', "x' UNION SELECT 1--",
        '%', '_', '\\']) {
        const login = await cesid.post('/auth/login', { username: text, password: text },
            { token: null });
        assert.ok([401, 422].includes(login.status), login.text);
        assert.equal((await cesid.get(`/processes?q=${encodeURIComponent(text)}`)).total,
            text === '_' ? 5 : 0, text);
        const list = await cesid.api('GET', `/nodes?environment=${encodeURIComponent(text)}`);
        assert.ok(list.status === 422 || list.json.total === 0, list.text);
    }
    await cesid.login();
});

test('healthz, readyz and system answer', async () => {
    for (const path of ['/healthz', '/readyz']) {
        assert.equal((await cesid.request('GET', path, { token: null })).status, 200);
        assert.equal((await cesid.request('HEAD', path, { token: null })).status, 200);
        assert.equal((await cesid.request('POST', path, { token: null })).status, 405);
    }
    const system = await cesid.get('/system');
    assert.equal(typeof system.version, 'string');
    assert.ok(system.uptime >= 0);
    assert.ok(system.threads);
});

test('the dashboard is served with a strict policy, and nothing beside it', async () => {
    const page = await cesid.request('GET', '/', { token: null });
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    // Filters live in the page's address; a reload keeps them.
    for (const path of ['/?x=1', '/processes?q=%3Cb%3E&state=FATAL', '/nodes/alpha?x'])
        assert.equal((await cesid.request('GET', path, { token: null })).text, page.text, path);
    expectProblem(await cesid.api('GET', '/nothing?x=1'), 404, 'not_found');
    for (const missing of ['/nothing', '/nodesx', '/login/nodes'])
        expectProblem(await cesid.request('GET', missing, { token: null }), 404, 'not_found');
    // A name may have a dot in it.
    for (const path of ['/nodes/db.example', '/nodes/alpha/processes/web.py:web.py'])
        assert.equal((await cesid.request('GET', path, { token: null })).text, page.text, path);
    const posted = await cesid.request('POST', '/', { token: null });
    expectProblem(posted, 405, 'method_not_allowed');
    assert.equal(posted.headers.allow, 'GET, HEAD');
    const policy = page.headers['content-security-policy'];
    assert.match(policy, /default-src 'none'|default-src 'self'/);
    assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval/);
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.doesNotMatch(page.text, /<script(?![^>]*\bsrc=)/);
    const asset = /src="([^"]+\.js)"/.exec(page.text)[1];
    const path = new URL(asset, `${cesid.url}/`).pathname;
    const script = await cesid.request('GET', path, { token: null });
    assert.equal(script.status, 200);
    assert.match(script.headers['cache-control'], /immutable|max-age/);
    const again = await cesid.request('GET', path,
        { token: null, headers: { 'If-None-Match': script.headers.etag } });
    assert.equal(again.status, 304);
    const packed = await cesid.request('GET', path,
        { token: null, headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.ok(packed.bytes.length < script.bytes.length);
    for (const missing of ['/.env', '/app.js.map', '/src/main.c', '/assets/nothing.js'])
        expectProblem(await cesid.request('GET', missing, { token: null }), 404, 'not_found');
});

test('keep-alive serves many requests on one connection', async () => {
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++)
        expectOk(await cesid.api('GET', '/nodes', { agent }));
    // After an error too.
    expectProblem(await cesid.api('GET', '/nodes/nowhere', { agent }), 404, 'not_found');
    expectOk(await cesid.api('GET', '/nodes', { agent }));
    agent.destroy();
    await until('the server still answers', async () =>
        (await cesid.request('GET', '/healthz')).status === 200);
});
