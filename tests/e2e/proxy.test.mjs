// cesid behind the proxies whose samples are in conf/: everything that a browser or a program does
// goes through them, on real connections with TLS.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { Cesid, run } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { expectOk, expectProblem, request } from './lib/http.mjs';
import { asked, behind, Nginx, Stunnel } from './lib/proxies.mjs';
import { Socket } from './lib/socket.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { Child, makeDirectory } from './lib/system.mjs';
import { until, within } from './lib/wait.mjs';

let node;
const below = {}, top = {}; // { proxy, cesid, ask, session }

before(async () => {
    node = await new Supervisord({ name: 'alpha', programs: { ticker: programs.ticker,
        'odd+name': { ...programs.sleeper } } }).start();
    Object.assign(below, await behind(new Nginx(), node, '/cesid',
        { base_path: '/cesid', trusted_proxies: ['127.0.0.1'] }));
    Object.assign(top, await behind(new Stunnel(), node, '',
        { connections_per_address: 1000 }, { metrics: { token: 'a-token-for-metrics' } }));
});

after(async () => {
    for (const { cesid, proxy } of [below, top]) {
        await cesid?.stop();
        await proxy?.stop();
    }
    node?.child?.kill();
});

const securityHeaders = ['content-security-policy', 'x-content-type-options', 'x-frame-options',
    'referrer-policy'];

test('nginx: page, assets, deep links and redirects live below the path', async () => {
    const { proxy, ask } = below;
    // Without its slash the page would look for its assets beside it.
    const bare = await ask('GET', '');
    assert.equal(bare.status, 308);
    assert.equal(bare.headers.location, '/cesid/');
    const page = await ask('GET', '/');
    assert.equal(page.status, 200);
    assert.match(page.text, /<base href="\/cesid\/">/);
    const links = [...page.text.matchAll(/(?:src|href)="([\w.-]+)"/g)].map(([, link]) => link);
    assert.ok(links.length >= 3, page.text);
    for (const link of links) {
        assert.equal((await ask('GET', `/${link}`)).status, 200, link);
        // Beside the path is somebody else's site.
        assert.equal((await request(proxy.url, 'GET', `/${link}`, { via: proxy.via() })).status, 404);
    }
    assert.equal((await ask('GET', '/nodes/alpha')).text, page.text);
    const cached = await ask('GET', '/', { headers: { 'If-None-Match': page.headers.etag } });
    assert.equal(cached.status, 304);
    for (const beside of ['/', '/cesidx', '/cesidx/api/v1/nodes'])
        assert.equal((await request(proxy.url, 'GET', beside, { via: proxy.via() })).status, 404);
});

test('nginx: security headers once each, and plain HTTP is sent to https', async () => {
    const { proxy, ask, session } = below;
    for (const path of ['/', '/api/v1/nodes', '/api/v1/nowhere']) {
        const { headers } = await ask('GET', path, { headers: session });
        for (const name of securityHeaders)
            assert.ok(headers[name] && !headers[name].includes(', '), `${path}: ${name}`);
        assert.match(headers['strict-transport-security'], /^max-age=\d+$/);
        assert.match(headers['x-request-id'], /^[\w.-]+$/);
    }
    const plain = await request(`http://localhost:${proxy.plainPort}`, 'GET', '/cesid/nodes?q=a%20b',
        { via: { family: 4 } });
    assert.equal(plain.status, 308);
    assert.equal(plain.headers.location, `${proxy.url}/cesid/nodes?q=a%20b`);
});

test('nginx: cookie and Location have the path, names keep their escapes', async () => {
    const { ask, session, setCookie } = below;
    assert.match(setCookie, /; Path=\/cesid\/;/);
    assert.match(setCookie, /; Secure(;|$)/);
    assert.match(setCookie, /; HttpOnly;/);
    const made = await ask('POST', '/api/v1/nodes', { headers: session, body: { name: 'new',
        environment: 'test', url: 'http://127.0.0.1:1/RPC2' } });
    expectOk(made, 201);
    assert.equal(made.headers.location, '/cesid/api/v1/nodes/new');
    expectOk(await request(below.proxy.url, 'GET', made.headers.location,
        { via: below.proxy.via(), headers: session }));
    const odd = await ask('GET', `/api/v1/nodes/alpha/processes/${encodeURIComponent('odd+name:odd+name')}`,
        { headers: session });
    assert.equal(expectOk(odd).name, 'odd+name');
    for (const escape of ['%2F', '%00', '%2e%2e'])
        assert.ok([400, 404].includes((await ask('GET', `/api/v1/nodes/${escape}`,
            { headers: session })).status), escape);
    const large = await ask('POST', '/api/v1/nodes', { headers: session,
        body: JSON.stringify({ name: 'x'.repeat(1_200_000) }) });
    expectProblem(large, 413, 'body_too_large');
    // The description names the place, too.
    const description = await ask('GET', '/api/v1/openapi.json');
    assert.equal(description.json.servers[0].url, '/cesid');
});

for (const [name, side] of [['nginx', below], ['stunnel', top]]) {
    test(`R3.2 R3.3 ${name}: WebSocket with cookie and origin of the public address, and no other`,
        async () => {
            const { proxy, base, session, ask } = side;
            const url = `${proxy.url.replace('https', 'wss')}${base}/api/v1/ws`;
            const { Cookie, Origin } = session;
            const socket = new Socket(url, { Cookie, Origin }, proxy.via());
            await socket.opened;
            await socket.subscribe('fleet');
            expectOk(await ask('POST', '/api/v1/nodes/alpha/processes/ticker/restart',
                { headers: session }));
            await socket.next('the restart', ({ type, data }) => type === 'process' &&
                data.id === 'ticker:ticker' && data.state === 'RUNNING');
            assert.equal((await socket.close()).code, 1000);
            for (const [headers, status] of [[{ Cookie, Origin: 'https://evil.example' }, 403],
                [{ Origin }, 401], [{ Cookie, Origin: proxy.url.replace('https', 'http') }, 403]]) {
                const refused = new Socket(url, headers, proxy.via());
                const error = await refused.opened.then(() => null, (reason) => reason);
                assert.equal(error?.answer?.status, status, JSON.stringify(headers));
            }
            expectProblem(await ask('POST', '/api/v1/nodes/alpha/refresh',
                { headers: { ...session, Origin: 'https://evil.example' } }), 403, 'origin_denied');
        });

    test(`${name}: events and a followed log arrive while the stream is open, compressed by nobody`,
        async () => {
            const { proxy, base, session } = side;
            const ca = `${proxy.directory}/cert.pem`;
            const follow = (path) => new Child('curl', ['-sSN', '-i', '--compressed', '--cacert', ca,
                '-4', '-H', `Cookie: ${session.Cookie}`, `${proxy.url}${base}/api/v1${path}`]);
            const log = follow('/nodes/alpha/processes/ticker/log/follow');
            const events = follow('/events?topics=fleet');
            // Each tick is there before the next is written, not when some buffer is full.
            const ticks = () => (log.stdout.match(/^tick \d+$/gm) ?? []).length;
            await until('a tick', () => ticks() > 0);
            for (let more = 0; more < 3; more++) {
                const seen = ticks();
                await until('the next tick', () => ticks() > seen, 3);
            }
            await until('a snapshot', () => events.stdout.includes('"snapshot"'));
            expectOk(await side.ask('POST', '/api/v1/nodes/alpha/processes/ticker/restart',
                { headers: session }));
            await until('the restart', () => /"type":"process"[^\n]*RUNNING/.test(events.stdout), 5);
            for (const child of [log, events]) {
                assert.ok(child.running);
                assert.match(child.stdout, /^HTTP\/\S+ 200/);
                assert.doesNotMatch(child.stdout, /^content-encoding:/im);
                child.kill();
                await child.exited;
            }
            // What a client has left, the proxy leaves, too.
            await until('the streams are gone', async () => /^cesid_ws_clients 0$/m.test(
                (await request(side.cesid.url, 'GET', `${base}/metrics`, {
                    headers: { Authorization: 'Bearer a-token-for-metrics' } })).text));
        });
}

// The address that the activity record has for a request with that id.
async function recorded(side, id) {
    return await until('the record', async () => (await side.get('/activity?limit=50')).items
        .find(({ request_id, action }) => request_id === id && action === 'node.start_all')?.address);
}

test('nginx: a request of HTTP/1.0 needs no Host', async () => {
    const socket = connect({ ...below.proxy.via(), host: '127.0.0.1', port: below.proxy.port,
        rejectUnauthorized: false });
    let text = '';
    socket.setEncoding('utf8').on('data', (data) => { text += data; });
    socket.write('GET /cesid/healthz HTTP/1.0\r\n\r\n');
    await within('an answer', once(socket, 'close'));
    assert.match(text, /^HTTP\/1\.[01] 200 /);
});

test('nginx: the record has the address that the proxy saw, whatever the client claims', async () => {
    const { ask, session } = below;
    const claims = { 'X-Forwarded-For': '192.0.2.66', 'X-Forwarded-Proto': 'http' };
    for (const [id, localAddress, headers] of [['through-1', '127.0.0.5', {}],
        ['through-2', '127.0.0.6', claims]]) {
        expectOk(await ask('POST', '/api/v1/nodes/alpha/start-all', { via: { localAddress },
            headers: { ...session, ...headers, 'X-Request-ID': id, Prefer: 'wait=10' } }));
        assert.equal(await recorded(below, id), localAddress);
    }
    // The scheme is the proxy's word as well: the cookie stays Secure.
    const login = await ask('POST', '/api/v1/auth/login', { headers: claims, body: {
        username: 'admin', password: below.cesid.adminPassword, cookie: true } });
    assert.match(login.headers['set-cookie'][0], /; Secure/);
});

test('whoever is no trusted proxy is believed nothing', async () => {
    // Past nginx, from an address that is not in trusted_proxies; and through stunnel, that tells
    // nothing of its own.
    const claims = { 'X-Forwarded-For': '192.0.2.66', 'X-Forwarded-Proto': 'https' };
    expectOk(await request(below.cesid.url, 'POST', '/cesid/api/v1/nodes/alpha/start-all', {
        via: { localAddress: '127.0.0.9' },
        headers: { ...below.session, ...claims, 'X-Request-ID': 'past-1' },
    }), 202);
    assert.equal(await recorded(below, 'past-1'), '127.0.0.9');
    expectOk(await top.ask('POST', '/api/v1/nodes/alpha/start-all', {
        headers: { ...top.session, ...claims, 'X-Request-ID': 'past-2' } }), 202);
    assert.equal(await recorded(top, 'past-2'), '127.0.0.1');
    // A chain: only what trusted proxies appended counts, read from its end.
    for (const [id, list, address] of [['chain-1', '192.0.2.66, 198.51.100.7', '198.51.100.7'],
        ['chain-2', '192.0.2.66, 198.51.100.7, 127.0.0.1', '198.51.100.7'],
        ['chain-3', 'nonsense', '127.0.0.1'], ['chain-4', '', '127.0.0.1'],
        ['chain-5', ['192.0.2.66', '198.51.100.7'], '198.51.100.7'],
        ['chain-6', ['192.0.2.66', '198.51.100.7, 127.0.0.1'], '198.51.100.7'],
        ['chain-7', '::ffff:198.51.100.7, ::FFFF:7f00:1', '198.51.100.7'],
        ['chain-8', '192.0.2.66, 2001:db8::7', '2001:db8::7']]) {
        expectOk(await request(below.cesid.url, 'POST', '/cesid/api/v1/nodes/alpha/start-all', {
            headers: { ...below.session, 'X-Forwarded-For': list, 'X-Request-ID': id } }), 202);
        assert.equal(await recorded(below, id), address, list);
    }
});

test('stunnel: the same site at the top of the name, with a Secure cookie', async () => {
    const { ask, setCookie, session } = top;
    assert.match(setCookie, /; Path=\/;/);
    assert.match(setCookie, /; Secure(;|$)/);
    const page = await ask('GET', '/');
    assert.match(page.text, /<base href="\/">/);
    for (const name of securityHeaders)
        assert.ok(page.headers[name], name);
    const made = await ask('POST', '/api/v1/nodes', { headers: session, body: { name: 'new',
        environment: 'test', url: 'http://127.0.0.1:1/RPC2' } });
    assert.equal(expectOk(made, 201).name, 'new');
    assert.equal(made.headers.location, '/api/v1/nodes/new');
});

test('metrics are for who has the token, or is on the machine itself', async () => {
    // nginx says that it comes from elsewhere; stunnel cannot, and so its sample has a token.
    assert.equal((await below.ask('GET', '/metrics')).status, 403);
    assert.equal((await top.ask('GET', '/metrics')).status, 401);
    assert.equal((await top.ask('GET', '/metrics', {
        headers: { Authorization: 'Bearer a-token-for-metrics' } })).status, 200);
});

test('the settings that the samples ask for are good, and are those of this test', async () => {
    const directory = makeDirectory();
    writeFileSync(join(directory, 'metrics.token'), 'a token\n', { mode: 0o600 });
    for (const [name, settings] of [
        ['nginx.conf', ['base_path = "/cesid"', 'trusted_proxies = [ "127.0.0.1" ]', 'public_url']],
        ['stunnel.conf', ['connections_per_address = 1000', 'token_file', 'public_url']]]) {
        const file = join(directory, name);
        writeFileSync(file, asked(name));
        const { code, stderr } = await run('-t', '-c', file);
        assert.equal(code, 0, stderr);
        for (const setting of settings)
            assert.ok(asked(name).includes(setting), `${name}: ${setting}`);
    }
});

test('plain HTTP on a public address is refused, unless somebody wrote that he wants it', async () => {
    for (const listen of ['0.0.0.0:9080', '192.0.2.1:9080']) {
        const cesid = new Cesid({ config: { server: { listen } } });
        cesid.port = 0;
        cesid.configure();
        for (const flags of [['-t'], []]) {
            const { code, stderr } = await run(...flags, '-c', cesid.file);
            assert.equal(code, 1);
            assert.match(stderr, /:\d+: server\.listen: is not a loopback address: .*TLS/);
        }
        cesid.config.server.allow_plaintext = true;
        cesid.configure();
        assert.equal((await run('-t', '-c', cesid.file)).code, 0);
    }
});
