// The log of the running program: one event a line, levels that are switched while it runs, and
// never a secret.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk } from './lib/http.mjs';
import { until } from './lib/wait.mjs';

const source = join(resolve(dirname(fileURLToPath(import.meta.url)), '../..'), 'src');
const nodePassword = 'node-secret-9f8e7d';
let fakes, cesid;
before(async () => {
    fakes = await new Fakes({ nodes: 2, processes: 2, auth: `ops:${nodePassword}` }).start();
    cesid = new Cesid({ nodes: fakes.configs(),
        config: { log: { format: 'json' }, refresh: { interval: 0.5 } } });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs(fakes.name(0), 'up');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

const lines = (from = 0) => cesid.log.slice(from).split('\n').slice(0, -1).map((line) =>
    JSON.parse(line));

async function level(level, subsystem) {
    return expectOk(await cesid.api('PUT', '/system/log-level', { body: { level,
        ...(subsystem ? { subsystem } : {}) } }));
}

// What is logged until a line is such; it comes by a pipe, after the answer.
async function logged(during, fits) {
    const from = cesid.log.lastIndexOf('\n') + 1;
    await during();
    return await until('the line', () => {
        const all = lines(from);
        return all.some(fits) && all;
    });
}

const ask = (id) => cesid.api('GET', '/nodes', { headers: { 'X-Request-ID': id } });
const isOf = (id) => (line) => line.request_id === id;

test('R10.5 every line is one event with time, level, subsystem and message', async () => {
    await cesid.api('GET', '/nodes', { headers: { 'X-Request-ID': 'seen-in-the-log' } });
    await until('the line', () => cesid.log.includes('seen-in-the-log'));
    for (const line of lines()) {
        assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.match(line.level, /^(error|warning|info|debug)$/);
        assert.match(line.subsystem, /^[a-z]+$/);
        assert.ok(line.message.length > 3);
    }
    const mine = lines().find((line) => line.request_id === 'seen-in-the-log');
    assert.equal(mine.route, '/api/v1/nodes');
});

test('R10.5 levels are switched while it runs, for all or for one subsystem', async () => {
    assert.equal((await cesid.get('/system/log-level')).level, 'info');
    assert.deepEqual(await level('debug', 'http'), { level: 'info', subsystems: { http: 'debug' } });
    const verbose = await logged(() => cesid.request('GET', '/healthz'),
        (line) => line.level === 'debug' && line.route === '/healthz');
    assert.ok(verbose.every((line) => line.level !== 'debug' || line.subsystem === 'http'));

    assert.deepEqual(await level('error'), { level: 'error', subsystems: {} });
    await ask('not-heard');
    await level('info', 'http');
    await logged(() => ask('heard'), isOf('heard'));
    assert.ok(!lines().some(isOf('not-heard')));
    await level('info');
});

test('R10.5 every subsystem that logs can be named', async () => {
    const files = readdirSync(source).flatMap((room) => (room.endsWith('.c') ? [room]
        : readdirSync(join(source, room)).map((file) => join(room, file))))
        .filter((file) => file.endsWith('.c'));
    const used = new Set(files.flatMap((file) => [...readFileSync(join(source, file), 'utf8')
        .matchAll(/\blog_(?:error|warning|info|debug)\(\s*"([a-z]+)"/g)].map(([, name]) => name)));
    assert.ok(used.size > 8);
    for (const name of used)
        await level('info', name);
    await level('info');
});

test('R7.5 no secret is in the log, however much it tells', async () => {
    await level('debug');
    const answer = await cesid.post('/auth/login', { username: 'admin',
        password: cesid.adminPassword, cookie: true }, { token: null });
    const cookie = answer.headers['set-cookie'][0].split(';')[0].split('=')[1];
    const { csrf_token: csrf } = answer.json;
    await cesid.post('/auth/login', { username: 'admin', password: 'guessed-secret-77' },
        { token: null });
    const stored = { name: 'stored', environment: 'test', url: 'http://127.0.0.1:1/RPC2',
        username: 'ops', password: 'stored-secret-31' };
    expectOk(await cesid.post('/nodes', stored), 201);
    expectOk(await cesid.api('PATCH', '/nodes/stored', { body: { password: 'newer-secret-32' } }));
    await cesid.post('/nodes/stored/check');
    await cesid.post(`/nodes/${fakes.name(0)}/processes/p0000/stdin`, { data: 'typed-secret-55\n' });
    const made = await cesid.post('/tokens', { name: 'mine' });
    await cesid.post(`/nodes/${fakes.name(1)}/processes/p0000/restart`);
    await cesid.post('/system/reload');
    await logged(() => cesid.api('DELETE', '/nodes/stored',
        { headers: { 'X-Request-ID': 'the-last' } }), isOf('the-last'));
    assert.ok(lines().some((line) => line.level === 'debug'));
    const secrets = [cesid.adminPassword, cesid.token, cookie, csrf, nodePassword, stored.password,
        'newer-secret-32', 'guessed-secret-77', 'typed-secret-55', made.json.token ?? made.json.secret,
        Buffer.from(`ops:${nodePassword}`).toString('base64')];
    for (const secret of secrets)
        assert.ok(secret && secret.length > 8 && !cesid.log.includes(secret), secret);
    await level('info');
});
