// Every route, called by everybody who may and may not: what each is told, exactly. Whoever is let in
// sends a parameter that no route knows, so nothing is done: 422 says that the door was open.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Description } from './lib/openapi.mjs';
import { until } from './lib/wait.mjs';

// As the contract has it: "none" is for all, "any" for all who are signed in.
const contract = {
    'none': `GET /healthz, GET /readyz, GET /metrics, POST /auth/login, GET /openapi.json`,
    'any': `POST /auth/logout, GET /auth/me, PUT /auth/password, GET /tokens, POST /tokens,
        DELETE /tokens/{id}, GET /system, GET /health`,
    'node:read': `GET /nodes, GET /nodes/{node}, POST /nodes/{node}/refresh,
        POST /nodes/{node}/check, GET /groups, GET /environments, GET /environments/{environment},
        GET /events, GET /ws`,
    'node:write': `POST /nodes, PATCH /nodes/{node}, DELETE /nodes/{node}`,
    'node:control': `GET /nodes/{node}/config, POST /nodes/{node}/reread,
        POST /nodes/{node}/update, POST /nodes/{node}/supervisor/restart,
        POST /nodes/{node}/supervisor/shutdown, GET /nodes/{node}/supervisor/log`,
    'process:read': `GET /nodes/{node}/processes, GET /nodes/{node}/processes/{process},
        GET /processes, GET /processes/summary, GET /operations, GET /operations/{operation}`,
    'process:control': `POST /nodes/{node}/processes/{process}/start,
        POST /nodes/{node}/processes/{process}/stop, POST /nodes/{node}/processes/{process}/restart,
        POST /nodes/{node}/processes/{process}/signal, POST /nodes/{node}/processes/{process}/stdin,
        DELETE /nodes/{node}/processes/{process}/log, POST /nodes/{node}/start-all,
        POST /nodes/{node}/stop-all, POST /nodes/{node}/restart-all, POST /operations,
        DELETE /operations/{operation}`,
    'log:read': `GET /nodes/{node}/processes/{process}/log,
        GET /nodes/{node}/processes/{process}/log/follow,
        GET /nodes/{node}/processes/{process}/log/download`,
    'activity:read': `GET /activity, GET /activity/export, GET /activity/stats`,
    'user:admin': `GET /users, POST /users, GET /users/{username}, PATCH /users/{username},
        DELETE /users/{username}, GET /roles, POST /roles, GET /roles/{name}, PUT /roles/{name},
        DELETE /roles/{name}, GET /bindings, POST /bindings, DELETE /bindings/{id}`,
    'system:admin': `POST /system/reload, GET /system/log-level, PUT /system/log-level`,
};
const permissions = Object.keys(contract).filter((name) => name.includes(':'));
const global = ['user:admin', 'system:admin'];
const roles = {
    admin: permissions,
    operator: [...permissions.filter((name) => name.endsWith(':read')), 'process:control',
        'node:control'],
    viewer: ['node:read', 'process:read', 'log:read'],
};

// { method, path, permission, environment }: routes of nodes once for each of the two nodes.
const environments = { here: 'production', there: 'staging' };
const values = {
    process: 'cat:cat', environment: 'production', operation: '0'.repeat(32), id: '0'.repeat(32),
    username: 'nobody', name: 'nothing',
};
const cases = Object.entries(contract).flatMap(([permission, list]) =>
    list.split(',').map((each) => each.trim()).flatMap((each) => {
        const [method, template] = each.split(' ');
        const nodes = template.includes('{node}') ? Object.keys(environments) : [null];
        return nodes.map((node) => ({
            method, permission, template, environment: environments[node],
            path: template.replaceAll(/{(\w+)}/g, (all, name) => encodeURIComponent(
                name === 'node' ? node : values[name])),
        }));
    }));
const below = (path) => (/^\/(healthz|readyz|metrics)$/.test(path) ? path : `/api/v1${path}`);

const password = 'a horse and a battery';
let cesid, admin;
before(async () => {
    cesid = new Cesid({
        config: { auth: { session_ttl: 1.0 } },
        nodes: Object.entries(environments).map(([name, environment]) =>
            ({ name, environment, url: 'http://127.0.0.1:1/RPC2', enabled: false })),
    });
    await cesid.start();
    admin = { old: (await cesid.login()).token, cookie: await signInByCookie('admin') };
    cesid.config.auth.session_ttl = 3600;
    cesid.configure();
    cesid.signal('SIGHUP');
    await until('sessions last longer', async () =>
        new Date((await cesid.login()).expires_at) - Date.now() > 60_000);
    await until('the short session is over', async () =>
        (await cesid.api('GET', '/auth/me', { token: admin.old })).json.code === 'session_expired');
});
after(() => cesid?.stop());

const secretOf = (username) => (username === 'admin' ? cesid.adminPassword : password);

async function signIn(username) {
    return expectOk(await cesid.post('/auth/login',
        { username, password: secretOf(username) }, { token: null })).token;
}

async function signInByCookie(username) {
    const answer = await cesid.post('/auth/login',
        { username, password: secretOf(username), cookie: true }, { token: null });
    return { Cookie: answer.headers['set-cookie'][0].split(';')[0],
        'X-CSRF-Token': expectOk(answer).csrf_token };
}

async function make(username, bindings = []) {
    expectOk(await cesid.post('/users', { username, password }), 201);
    for (const [role, environment] of bindings)
        expectOk(await cesid.post('/bindings', { user: username, role, environment }), 201);
}

async function makeToken(token, body) {
    return expectOk(await cesid.post('/tokens', { name: 'one', ...body }, { token }), 201);
}

const open = [422, 'validation_failed'];

// What somebody with such rights is told: rights are [permissions, environment or '*'].
function told(rights, each) {
    const has = (permission, where) => rights.some(([list, environment]) =>
        list.includes(permission) && (environment === '*' || where === undefined ||
            environment === where) && (environment === '*' || !global.includes(permission)));
    if (each.permission === 'any')
        return open;
    if (each.environment && !has('node:read', each.environment))
        return [404, 'not_found'];
    return has(each.permission, each.environment) ? open : [403, 'forbidden'];
}

const bare = ({ request_id: id, ...problem }) => JSON.stringify({ id: typeof id, ...problem });

// Calls every route and compares; expected(case) is [status, code] for those that are not open.
async function everywhere(who, headers, expected) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const seen = {};
    for (const each of cases) {
        const answer = await cesid.request(each.method, `${below(each.path)}?nonsense=1`,
            { token: null, headers, agent });
        const what = `${who}: ${each.method} ${each.path}: ${answer.status} ${answer.text}`;
        const [status, code] = each.permission === 'none' ? open : expected(each);
        assert.equal(`${answer.status} ${answer.json?.code}`, `${status} ${code}`, what);
        const problem = expectProblem(answer, status, code);
        assert.deepEqual(Object.keys(problem).sort(), ['code', 'detail',
            ...(status === 422 ? ['errors'] : []), 'request_id', 'status', 'title', 'type'], what);
        if (status === 422) {
            assert.deepEqual(problem.errors.filter(({ code: why }) => why !== 'required')
                .map(({ field, code: why }) => [field, why]), [['nonsense', 'unknown']], what);
            continue;
        }
        // Whatever the route, the same words.
        seen[code] ??= bare(problem);
        assert.equal(bare(problem), seen[code], what);
    }
    agent.destroy();
}

const bearer = (token) => ({ Authorization: `Bearer ${token}` });
const nobody = () => [401, 'unauthenticated'];

async function noSocket(headers, code) {
    await assert.rejects(cesid.socket({ token: null, headers }), ({ answer }) =>
        Boolean(expectProblem(answer, code === 'origin_denied' ? 403 : 401, code)));
}

test('the routes are those of the contract, with its permissions', async () => {
    const { operations } = await Description.of(cesid);
    const described = operations.map((each) => `${each.method} ${each.path} ` +
        (each['x-permission'] ?? (each.security.length > 0 ? 'any' : 'none')));
    const wanted = new Set(cases.map(({ method, template, permission }) =>
        `${method} ${below(template)} ${permission}`));
    assert.deepEqual(described.sort(), [...wanted].sort());
});

test('R3.2 R3.4 without credentials, or with what is none, every route answers alike', async () => {
    const basic = Buffer.from(`admin:${cesid.adminPassword}`).toString('base64');
    for (const [who, headers] of Object.entries({
        'no credentials': {},
        'Basic': { Authorization: `Basic ${basic}` },
        'another cookie': { Cookie: `session=${cesid.token}; Xcesid_session=${cesid.token}` },
        'an unknown token': bearer(`cesid_${'0'.repeat(32)}_${'0'.repeat(64)}`),
        'a cut session': bearer(cesid.token.slice(0, -2)),
    })) {
        await everywhere(who, headers, nobody);
        await noSocket(headers, 'unauthenticated');
    }
});

test('R3.2 credentials in a query string are none', async () => {
    const token = expectOk(await cesid.post('/tokens', { name: 'query' }), 201).token;
    for (const each of cases.filter(({ permission }) => permission !== 'none')) {
        for (const query of [`token=${cesid.token}`, `access_token=${token}`,
            `cesid_session=${cesid.token}`, `Authorization=Bearer%20${token}`]) {
            const answer = await cesid.request(each.method, `${below(each.path)}?${query}`,
                { token: null });
            expectProblem(answer, 401, 'unauthenticated');
        }
    }
    assert.ok(!cesid.log.includes(cesid.token) && !cesid.log.includes(token));
});

test('R3.3 what has expired is told so, by every route', async () => {
    const expired = () => [401, 'session_expired'];
    const soon = await makeToken(cesid.token, {
        expires_at: new Date(Date.now() + 3000).toISOString() });
    await until('its end', async () => (await cesid.api('GET', '/auth/me',
        { token: soon.token })).json.code === 'session_expired');
    for (const [who, headers] of Object.entries({
        'an expired session': bearer(admin.old),
        'an expired cookie': admin.cookie,
        'an expired token': bearer(soon.token),
    })) {
        await everywhere(who, headers, expired);
        await noSocket(headers, 'session_expired');
    }
});

test('R3.3 what was revoked opens no door, by no route', async () => {
    const gone = {};
    const out = await signIn('admin');
    expectOk(await cesid.post('/auth/logout', undefined, { token: out }), 204);
    gone['a session that was ended'] = bearer(out);
    const token = await makeToken();
    expectOk(await cesid.api('DELETE', `/tokens/${token.id}`), 204);
    gone['a token that was revoked'] = bearer(token.token);
    const ends = {
        disabled: () => cesid.api('PATCH', '/users/disabled', { body: { active: false } }),
        removed: () => cesid.api('DELETE', '/users/removed'),
        renewed: () => cesid.api('PATCH', '/users/renewed',
            { body: { password: `${password}!` } }),
    };
    for (const [username, end] of Object.entries(ends)) {
        await make(username, [['admin', '*']]);
        const session = await signIn(username);
        const made = await makeToken(session);
        gone[`a session of one ${username}`] = bearer(session);
        gone[`a cookie of one ${username}`] = await signInByCookie(username);
        // A password is no part of a token.
        if (username !== 'renewed')
            gone[`a token of one ${username}`] = bearer(made.token);
        const answer = await end();
        assert.ok(answer.status < 300, answer.text);
    }
    for (const [who, headers] of Object.entries(gone)) {
        await everywhere(who, headers, nobody);
        await noSocket(headers, 'unauthenticated');
    }
});

test('R3.3 each role may what it says, where it says, and nothing else', async () => {
    const own = Object.fromEntries(permissions.map((name) =>
        [`only-${name.replace(':', '-')}`, name === 'node:read' ? [name] : ['node:read', name]]));
    for (const [name, list] of Object.entries(own))
        expectOk(await cesid.post('/roles', { name, permissions: list }), 201);
    const all = { ...roles, ...own };
    const people = {
        unbound: [],
        everything: [['admin', '*']],
        operating: [['operator', '*']],
        viewing: [['viewer', '*']],
        local: [['admin', 'production']],
        mixed: [['viewer', '*'], ['operator', 'staging']],
        ...Object.fromEntries(Object.keys(own).map((name) => [name, [[name, '*']]])),
        'only-in-staging': [['only-node-write', 'staging'], ['only-user-admin', 'staging']],
    };
    for (const [username, bindings] of Object.entries(people)) {
        await make(username, bindings);
        const rights = bindings.map(([role, environment]) => [all[role], environment]);
        await everywhere(username, bearer(await signIn(username)), (each) => told(rights, each));
    }
});

test('R3.3 a token may what its scope leaves of its owner, by every route', async () => {
    const owner = await signIn('mixed');
    for (const scope of [permissions, ['node:read'], ['process:control'],
        ['node:read', 'process:control', 'user:admin'], []]) {
        const { token } = await makeToken(owner, { scope });
        const rights = [[roles.viewer, '*'], [roles.operator, 'staging']].map(([list, where]) =>
            [list.filter((name) => scope.includes(name)), where]);
        await everywhere(`a token for ${scope}`, bearer(token), (each) => told(rights, each));
    }
    const { token } = await makeToken(cesid.token, { scope: permissions });
    expectProblem(await cesid.post('/tokens', { name: 'more' }, { token }), 403, 'forbidden');
    await everywhere('a token as a cookie', { Cookie: `cesid_session=${token}` }, nobody);
});

test('R3.3 a cookie opens what it must, with its CSRF token and from here', async () => {
    const headers = await signInByCookie('admin');
    const { 'X-CSRF-Token': csrf, Cookie } = headers;
    const safe = ({ method }) => method === 'GET';
    const stream = ({ template }) => ['/ws', '/events'].includes(template);
    await everywhere('by cookie', headers, () => open);
    await everywhere('by cookie, from here', { ...headers, Origin: cesid.url }, () => open);
    for (const wrong of [undefined, '', csrf.slice(1), `${csrf}0`, '0'.repeat(csrf.length)])
        await everywhere(`by cookie, with CSRF token ${wrong}`,
            wrong === undefined ? { Cookie } : { Cookie, 'X-CSRF-Token': wrong },
            (each) => (safe(each) ? open : [403, 'csrf']));
    await everywhere('by cookie, from elsewhere', { ...headers, Origin: 'http://evil.example' },
        (each) => (safe(each) && !stream(each) ? open : [403, 'origin_denied']));
    await noSocket({ Cookie, Origin: 'http://evil.example' }, 'origin_denied');
});
