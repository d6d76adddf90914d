// The contract: the API's description is sound, and what the server takes and answers is what the
// description says, on every route that it has.
import { createConfig, lintFromString } from '@redocly/openapi-core';
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleet } from './lib/fleet.mjs';
import { expectProblem } from './lib/http.mjs';
import { Description, wrongValues } from './lib/openapi.mjs';
import { until } from './lib/wait.mjs';

let fleet, cesid, api;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
    api = await Description.of(cesid);
});
after(() => fleet?.stop());

test('the description passes an outside linter', async () => {
    const config = await createConfig({
        extends: ['recommended'],
        rules: {
            'tag-description': 'off',
            'operation-2xx-response': 'off', // a WebSocket's is 101
            'no-unused-components': 'off',   // 405 belongs to methods that have no description
        },
    });
    const found = await lintFromString({ source: api.text, absoluteRef: 'openapi.json', config });
    assert.deepEqual(found.map((each) =>
        `${each.ruleId} ${each.message} ${each.location[0]?.pointer}`), []);
    assert.match(api.document.openapi, /^3\.1\./);
});

test('every route of the contract is described, with schemas and security', () => {
    const routes = api.operations.map(({ method, path }) => `${method} ${path}`);
    assert.equal(new Set(routes).size, routes.length);
    assert.equal(new Set(api.operations.map((each) => each.operationId)).size, routes.length);
    for (const operation of api.operations) {
        const what = `${operation.method} ${operation.path}`;
        const answers = Object.entries(operation.responses).filter(([status]) => status < 400);
        assert.ok(answers.length > 0, what);
        for (const [status, answer] of answers)
            assert.ok(answer.content || ['101', '204'].includes(status), `${what} ${status}`);
        for (const name of operation.path.matchAll(/{(\w+)}/g))
            assert.ok(api.parameters(operation, 'path').some((each) => each.name === name[1]), what);
        const open = ['/api/v1/auth/login', '/api/v1/openapi.json', '/healthz', '/readyz',
            '/metrics'].includes(operation.path);
        assert.equal(operation.security.length > 0, !open, what);
    }
});

// The path with its names filled in.
function fill(operation, values) {
    const path = operation.path.replaceAll(/{(\w+)}/g, (all, name) => {
        assert.ok(values[name] !== undefined, `a value for ${name} of ${operation.path}`);
        return encodeURIComponent(values[name]);
    });
    return path;
}

// What stands for each name in a path, where a route has no better.
const usual = {
    node: 'alpha', process: 'cat:cat', environment: 'production', operation: 'nothing', id: 'nothing',
    username: 'admin', name: 'viewer',
};

async function ask(operation, { path = {}, query = '', body, headers, token } = {}) {
    const answer = await cesid.request(operation.method,
        fill(operation, { ...usual, ...path }) + query, { body, headers, token });
    api.check(operation, answer);
    return answer;
}

// A call of every route: valid input, a status below 400.
async function good(method, path, options = {}) {
    const operation = api.find(method, path);
    const answer = await ask(operation, options);
    assert.ok(answer.status < 400, `${method} ${path}: ${answer.status} ${answer.text}`);
    driven.add(`${method} ${path}`);
    if (operation.method === 'GET' && answer.status === 200) {
        const head = await cesid.request('HEAD', fill(operation, { ...usual, ...options.path }) +
            (options.query ?? ''), { headers: options.headers });
        assert.equal(head.status, 200, `HEAD ${path}`);
        assert.equal(head.text, '');
    }
    return answer.json;
}

const v1 = '/api/v1';
const driven = new Set();

test('what is read is as described', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics'])
        await good('GET', path);
    for (const path of ['/openapi.json', '/auth/me', '/nodes', '/nodes/{node}',
        '/nodes/{node}/processes', '/nodes/{node}/processes/{process}', '/nodes/{node}/config',
        '/nodes/{node}/supervisor/log', '/nodes/{node}/processes/{process}/log', '/processes',
        '/processes/summary', '/groups', '/environments', '/environments/{environment}',
        '/operations', '/activity', '/activity/export', '/activity/stats', '/users',
        '/users/{username}', '/roles', '/roles/{name}', '/bindings', '/tokens', '/system',
        '/system/log-level', '/health'])
        await good('GET', v1 + path);
    await good('GET', `${v1}/nodes/{node}/processes/{process}/log/download`,
        { path: { process: 'ticker:ticker' } });
    await good('GET', `${v1}/activity/export`, { query: '?format=jsonl&result=ok' });
    await good('GET', `${v1}/nodes`, { query: '?environment=production,staging&state=up' +
        '&label=role%3Dweb&q=a&limit=1' });
    await good('GET', `${v1}/processes`, { query: '?state=running&sort=name&limit=2&node=alpha' });
});

test('what is done is as described', async () => {
    const node = `${v1}/nodes/{node}`;
    for (const path of ['refresh', 'check'])
        await good('POST', `${node}/${path}`);
    for (const [action, name, body] of [['stop', 'sleeper'], ['start', 'sleeper'],
        ['restart', 'sleeper'], ['signal', 'sleeper', { signal: 'CONT' }],
        ['stdin', 'cat', { data: 'hello\n' }]])
        await good('POST', `${node}/processes/{process}/${action}`,
            { path: { process: `${name}:${name}` }, body, query: '?force=false' });
    await good('DELETE', `${node}/processes/{process}/log`);
    for (const path of ['stop-all', 'start-all', 'restart-all'])
        await good('POST', `${node}/${path}`,
            { path: { node: 'gamma' }, headers: { Prefer: 'wait=60' } });
    const select = { nodes: ['al*'], processes: ['cat', 'sleeper'] };
    await good('POST', `${v1}/operations`, { body: { action: 'restart', select, dry_run: true } });
    const { id } = await good('POST', `${v1}/operations`,
        { body: { action: 'restart', select, parallelism: 1, timeout: 20, batch_timeout: 60 } });
    await good('GET', `${v1}/operations/{operation}`, { path: { operation: id } });
    await good('DELETE', `${v1}/operations/{operation}`, { path: { operation: id } });
    await good('PUT', `${v1}/system/log-level`, { body: { level: 'info' } });
    await good('POST', `${v1}/system/reload`);
    await good('POST', `${node}/reread`, { path: { node: 'gamma' } });
    await good('POST', `${node}/update`, { path: { node: 'gamma' } });

    await good('POST', `${v1}/nodes`, { body: { name: 'extra', environment: 'staging',
        url: 'http://127.0.0.1:1/RPC2', labels: { a: 'b' }, enabled: false } });
    await good('PATCH', node, { path: { node: 'extra' }, body: { labels: {} } });
    await good('DELETE', node, { path: { node: 'extra' } });

    await good('POST', `${v1}/users`, { body: { username: 'vera', password: 'long enough, I say',
        full_name: 'Vera', email: 'vera@example.org', active: true } });
    await good('PATCH', `${v1}/users/{username}`,
        { path: { username: 'vera' }, body: { full_name: '' } });
    await good('POST', `${v1}/roles`, { body: { name: 'reader', permissions: ['node:read'] } });
    await good('PUT', `${v1}/roles/{name}`,
        { path: { name: 'reader' }, body: { permissions: ['node:read', 'log:read'] } });
    const binding = await good('POST', `${v1}/bindings`,
        { body: { user: 'vera', role: 'reader', environment: 'prod*' } });
    await good('DELETE', `${v1}/bindings/{id}`, { path: { id: binding.id } });
    await good('DELETE', `${v1}/roles/{name}`, { path: { name: 'reader' } });
    await good('DELETE', `${v1}/users/{username}`, { path: { username: 'vera' } });
    const token = await good('POST', `${v1}/tokens`, { body: { name: 'ci', scope: ['node:read'],
        expires_at: '2099-01-01T00:00:00Z' } });
    await good('DELETE', `${v1}/tokens/{id}`, { path: { id: token.id } });
});

// The head of an answer without an end, and some of its body.
async function begins(operation, path) {
    const child = cesid.follow(path.replace(v1, ''), '-i');
    await until(`something of ${path}`, () => /\r\n\r\n./s.test(child.stdout));
    const [head] = child.stdout.split('\r\n\r\n');
    child.kill();
    const [line, ...fields] = head.split('\r\n');
    const headers = Object.fromEntries(fields.map((field) => {
        const at = field.indexOf(':');
        return [field.slice(0, at).toLowerCase(), field.slice(at + 1).trim()];
    }));
    api.check(operation, { status: Number(line.split(' ')[1]), headers, text: '' });
    driven.add(`${operation.method} ${operation.path}`);
}

test('what has no end begins as described', async () => {
    await begins(api.find('GET', `${v1}/events`), `${v1}/events?topics=fleet,operations`);
    const follow = api.find('GET', `${v1}/nodes/{node}/processes/{process}/log/follow`);
    await begins(follow, fill(follow, { node: 'alpha', process: 'ticker:ticker' }));
    const socket = await cesid.socket();
    assert.ok(api.find('GET', `${v1}/ws`).responses[101]);
    socket.close();
    driven.add(`GET ${v1}/ws`);
});

// Problems of a request that is wrong in one place: the place is named.
async function refused(operation, options, field, why) {
    const answer = await ask(operation, options);
    const what = `${operation.method} ${operation.path} ${field} ${why}`;
    assert.equal(answer.status, 422, `${what}: ${answer.status} ${answer.text}`);
    const { errors } = expectProblem(answer, 422, 'validation_failed');
    assert.ok(errors.some((error) => error.field === field || error.field.startsWith(`${field}/`) ||
        error.field.startsWith(`${field}.`)), `${what}: ${answer.text}`);
}

const takesAnyQuery = (operation) => operation.responses[422] === undefined;

test('R9.1 every query parameter of every route is held to its description', async () => {
    let asked = 0;
    for (const operation of api.operations.filter((each) => !takesAnyQuery(each))) {
        await refused(operation, { query: '?nonsense=1' }, 'nonsense', 'unknown');
        for (const { name, schema } of api.parameters(operation, 'query')) {
            for (const { value, why } of wrongValues(schema, { query: true })) {
                await refused(operation, { query: `?${name}=${encodeURIComponent(value)}` }, name,
                    why);
                asked++;
            }
        }
    }
    assert.ok(asked > 100, `${asked}`);
});

test('R9.1 every name in a path is held to its description', async () => {
    for (const operation of api.operations) {
        for (const { name, schema } of api.parameters(operation, 'path')) {
            for (const { value, why } of wrongValues(schema, { query: true })) {
                const answer = await ask(operation, { path: { [name]: value } });
                assert.ok([400, 404].includes(answer.status),
                    `${operation.path} ${name} ${why}: ${answer.status} ${answer.text}`);
            }
        }
    }
});

// { field: schema } of a body, with inner objects as "select.nodes".
function fields(schema, prefix = '') {
    return Object.entries(schema?.properties ?? {}).flatMap(([name, inner]) =>
        (inner.type === 'object' && inner.properties ? fields(inner, `${prefix}${name}.`)
            : [[prefix + name, inner]]));
}

function put(name, value) {
    const [outer, inner] = name.split('.');
    return inner === undefined ? { [outer]: value } : { [outer]: { [inner]: value } };
}

test('R9.1 every field of every body is held to its description', async () => {
    let asked = 0;
    for (const operation of api.operations.filter((each) => !takesAnyQuery(each))) {
        if (operation.method === 'GET')
            continue;
        await refused(operation, { body: { nonsense: 1 } }, 'nonsense', 'unknown');
        const schema = api.body(operation);
        if (!schema)
            continue;
        for (const name of schema.required)
            await refused(operation, { body: {} }, name, 'required');
        for (const [name, inner] of fields(schema)) {
            for (const { value, why } of wrongValues(inner)) {
                await refused(operation, { body: put(name, value) }, name, why);
                asked++;
            }
        }
        const text = await ask(operation, { body: 'x=1', headers: { 'Content-Type': 'text/plain' } });
        expectProblem(text, 415, 'unsupported_media_type');
    }
    assert.ok(asked > 100, `${asked}`);
});

test('without credentials every route answers as described', async () => {
    for (const operation of api.operations) {
        if (operation.security.length === 0)
            continue;
        const answer = await ask(operation, { token: null });
        expectProblem(answer, 401, 'unauthenticated');
    }
});

test('what ends things is as described', async () => {
    const node = `${v1}/nodes/{node}`;
    await good('POST', `${node}/supervisor/restart`, { path: { node: 'gamma' } });
    await good('POST', `${node}/supervisor/shutdown`, { path: { node: 'beta' } });
    const password = cesid.adminPassword;
    await good('POST', `${v1}/auth/login`, { body: { username: 'admin', password }, token: null });
    await good('PUT', `${v1}/auth/password`, { body: { old: password, new: `${password}-other` } });
    await good('POST', `${v1}/auth/logout`);
    await cesid.login('admin', `${password}-other`);
});

test('every described route was driven', () => {
    const missing = api.operations.map(({ method, path }) => `${method} ${path}`)
        .filter((route) => !driven.has(route));
    assert.deepEqual(missing, []);
});
