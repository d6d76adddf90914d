// Users, roles, bindings and tokens: who may do what, from the moment it is said.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until, within } from './lib/wait.mjs';

const password = 'a horse and a battery';
let cesid;
before(async () => {
    cesid = new Cesid({
        nodes: ['production', 'staging'].map((environment) => ({
            name: `node-${environment}`, environment, url: 'http://127.0.0.1:1/RPC2',
        })),
    });
    await cesid.start();
    await cesid.login();
});
after(() => cesid?.stop());

async function make(username, ...bindings) {
    expectOk(await cesid.post('/users', { username, password }), 201);
    const ids = [];
    for (const [role, environment] of bindings)
        ids.push(expectOk(await cesid.post('/bindings', { user: username, role, environment }),
            201).id);
    return ids;
}

async function signIn(username, secret = password) {
    const { token } = expectOk(await cesid.api('POST', '/auth/login',
        { body: { username, password: secret }, token: null }));
    return token;
}

const as = (token) => async (method, path, body) => await cesid.api(method, path, { token, body });
const names = (list) => list.items.map(({ name }) => name);

test('a user is created, shown, changed and removed', async () => {
    const settings = { username: 'vera', password, full_name: 'Vera "V" Büro', email: 'v@x.org' };
    const made = await cesid.post('/users', settings);
    const vera = expectOk(made, 201);
    assert.match(made.headers.location, /\/api\/v1\/users\/vera$/);
    assert.deepEqual(Object.keys(vera).sort(), ['active', 'created_at', 'email', 'full_name', 'id',
        'last_login_at', 'username']);
    assert.deepEqual({ ...vera, id: '', created_at: '' }, { id: '', username: 'vera',
        full_name: settings.full_name, email: 'v@x.org', active: true, created_at: '',
        last_login_at: null });
    assert.deepEqual(await cesid.get('/users/vera'), vera);
    assert.deepEqual((await cesid.get('/users')).items.map(({ username }) => username),
        ['admin', 'vera']);
    expectProblem(await cesid.post('/users', settings), 409, 'conflict');

    const changed = expectOk(await cesid.api('PATCH', '/users/vera', { body: { full_name: '' } }));
    assert.deepEqual(changed, { ...vera, full_name: '' });
    assert.equal((await cesid.get('/users?limit=1')).items.length, 1);

    await signIn('vera');
    assert.notEqual((await cesid.get('/users/vera')).last_login_at, null);
    expectOk(await cesid.api('DELETE', '/users/vera'), 204);
    for (const method of ['GET', 'DELETE'])
        expectProblem(await cesid.api(method, '/users/vera'), 404, 'not_found');
    expectProblem(await cesid.api('PATCH', '/users/vera', { body: {} }), 404, 'not_found');
    expectProblem(await cesid.api('POST', '/auth/login', { body: { username: 'vera', password },
        token: null }), 401, 'invalid_credentials');
});

test('passwords and addresses that will not do are named', async () => {
    for (const [field, body] of [['password', { username: 'walt', password: 'short' }],
        ['password', { username: 'walt', password: 'passwordpassword' }],
        ['email', { username: 'walt', password, email: 'nonsense' }],
        ['username', { username: '../walt', password }]]) {
        const { errors } = expectProblem(await cesid.post('/users', body), 422, 'validation_failed');
        assert.deepEqual(errors.map((error) => error.field), [field], JSON.stringify(body));
    }
    expectProblem(await cesid.api('GET', '/users/walt'), 404, 'not_found');
});

test('the last administrator cannot be removed, disabled or demoted', async () => {
    const change = (body) => cesid.api('PATCH', '/users/admin', { body });
    const [binding] = (await cesid.get('/bindings')).items;
    assert.deepEqual({ ...binding, id: '' },
        { id: '', user: 'admin', role: 'admin', environment: '*' });
    // An administrator of one environment only, and one who may not sign in, are none.
    await make('lesser', ['admin', 'production']);
    await make('asleep', ['admin', '*']);
    expectOk(await cesid.api('PATCH', '/users/asleep', { body: { active: false } }));
    for (const answer of [await change({ active: false }), await cesid.api('DELETE', '/users/admin'),
        await cesid.api('DELETE', `/bindings/${binding.id}`)])
        assert.match(expectProblem(answer, 409, 'conflict').detail, /last active administrator/);
    expectOk(await change({ full_name: 'Still here' }));

    // Of two who remove each other at once, one stays.
    await make('second', ['admin', '*']);
    const second = as(await signIn('second'));
    const answers = await Promise.all([cesid.api('PATCH', '/users/second', { body: { active: false } }),
        second('PATCH', '/users/admin', { active: false })]);
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    const winner = answers[0].status === 200 ? as(cesid.token) : second;
    for (const username of ['admin', 'second'])
        expectOk(await winner('PATCH', `/users/${username}`, { active: true }));
    await cesid.login('admin', cesid.adminPassword);
    for (const username of ['lesser', 'asleep', 'second'])
        expectOk(await cesid.api('DELETE', `/users/${username}`), 204);
});

test('R3.3 who is disabled, removed or given another password is out at once', async () => {
    const leaves = {
        disabled: () => cesid.api('PATCH', '/users/gone', { body: { active: false } }),
        'given another password': () => cesid.api('PATCH', '/users/gone',
            { body: { password: `${password}!` } }),
        removed: () => cesid.api('DELETE', '/users/gone'),
    };
    for (const [what, leave] of Object.entries(leaves)) {
        await make('gone', ['viewer', '*']);
        const token = await signIn('gone');
        const other = as(token);
        const socket = await cesid.socket({ token });
        expectOk(await other('GET', '/nodes'));
        expectOk(await leave(), what === 'removed' ? 204 : 200);
        expectProblem(await other('GET', '/nodes'), 401, 'unauthenticated');
        assert.equal((await within(`the end of one ${what}`, socket.closed)).code, 1008);
        if (what !== 'removed')
            expectOk(await cesid.api('DELETE', '/users/gone'), 204);
    }
});

test('R3.3 a followed log and an event stream end with what allowed them', async () => {
    const supervisord = new Supervisord({ name: 'live', programs: { ticker: programs.ticker } });
    await supervisord.start();
    try {
        expectOk(await cesid.post('/nodes', { name: 'live', environment: 'live',
            url: supervisord.url }), 201);
        await cesid.nodeIs('live', 'up');
        expectOk(await cesid.post('/roles', { name: 'only-nodes', permissions: ['node:read'] }), 201);
        const streams = ['/nodes/live/processes/ticker/log/follow', '/events?topics=fleet'];
        const admin = cesid.token;
        const ends = {
            'a right': { binding: true, gone: [true, false] },
            'a session': { session: true, gone: [true, true] },
            'a user': { user: true, gone: [true, true] },
        };
        for (const [what, { binding, session, gone }] of Object.entries(ends)) {
            const [, logs] = await make('reader', ['only-nodes', 'live'], ['viewer', 'live']);
            cesid.token = await signIn('reader');
            const followers = streams.map((path) => cesid.follow(path));
            await until('both go', () => followers.every(({ stdout }) => stdout.length > 0));
            if (session)
                expectOk(await cesid.post('/auth/logout'), 204);
            cesid.token = admin;
            if (binding)
                expectOk(await cesid.api('DELETE', `/bindings/${logs}`), 204);
            else if (!session)
                expectOk(await cesid.api('DELETE', '/users/reader'), 204);
            for (const [i, follower] of followers.entries())
                if (gone[i])
                    await within(`the end of ${streams[i]} with ${what}`, follower.exited);
                else
                    assert.ok(follower.running, `${streams[i]} without ${what}`);
            followers.forEach((follower) => follower.kill());
            if (binding || session)
                expectOk(await cesid.api('DELETE', '/users/reader'), 204);
        }
        expectOk(await cesid.api('DELETE', '/roles/only-nodes'), 204);
        expectOk(await cesid.api('DELETE', '/nodes/live'), 204);
    } finally {
        supervisord.child.kill();
    }
});

test('an administrator who sets the own password stays, and other sessions end', async () => {
    const other = await signIn('admin', cesid.adminPassword);
    const next = `${cesid.adminPassword}-next`;
    expectOk(await cesid.api('PATCH', '/users/admin', { body: { password: next } }));
    await cesid.get('/users');
    expectProblem(await as(other)('GET', '/users'), 401, 'unauthenticated');
    expectOk(await cesid.api('PATCH', '/users/admin', { body: { password: cesid.adminPassword } }));
});

test('a binding gives and takes at once, over HTTP and on an open WebSocket', async () => {
    const [first] = await make('roamer', ['viewer', 'stag*']);
    const token = await signIn('roamer');
    const roamer = as(token);
    const socket = await cesid.socket({ token });
    await socket.subscribe('fleet');
    const seen = async () => names(expectOk(await roamer('GET', '/nodes')));
    assert.deepEqual(await seen(), ['node-staging']);
    expectProblem(await roamer('GET', '/nodes/node-production'), 404, 'not_found');
    for (const path of ['/health', '/system']) {
        const { components, nodes } = expectOk(await roamer('GET', path));
        assert.equal((nodes ?? components.nodes).total, 1, path);
    }

    const body = { user: 'roamer', role: 'viewer', environment: 'production' };
    const second = expectOk(await cesid.post('/bindings', body), 201);
    assert.deepEqual(await seen(), ['node-production', 'node-staging']);
    await socket.next('a snapshot with both', (message) => message.type === 'snapshot' &&
        message.data.nodes.length === 2);
    const again = expectProblem(await cesid.post('/bindings', body), 409, 'conflict');
    assert.equal(again.detail, 'There is such a binding already');

    expectOk(await cesid.api('DELETE', `/bindings/${first}`), 204);
    assert.deepEqual(await seen(), ['node-production']);
    const from = socket.mark;
    await socket.next('a snapshot with one', (message) => message.type === 'snapshot' &&
        message.data.nodes.map(({ name }) => name).join() === 'node-production', { from: 0 });
    assert.ok(from > 0);
    expectOk(await cesid.api('DELETE', `/bindings/${second.id}`), 204);
    expectProblem(await roamer('GET', '/nodes'), 403, 'forbidden');
    expectProblem(await cesid.api('DELETE', `/bindings/${second.id}`), 404, 'not_found');
    for (const [field, wrong] of [['user', { ...body, user: 'nobody' }],
        ['role', { ...body, role: 'nothing' }], ['environment', { ...body, environment: 'a\nb' }]]) {
        const { errors } = expectProblem(await cesid.post('/bindings', wrong), 422,
            'validation_failed');
        assert.equal(errors[0].field, field);
    }
    await socket.close();
    expectOk(await cesid.api('DELETE', '/users/roamer'), 204);
});

test('who loses the last right hears nothing more of what happens afterwards', async () => {
    const [binding] = await make('spy', ['viewer', '*']);
    const socket = await cesid.socket({ token: await signIn('spy') });
    await socket.subscribe('fleet');
    const change = (enabled) => cesid.post('/nodes', { name: `late-${enabled}`, enabled,
        environment: 'production', url: 'http://127.0.0.1:1/RPC2' });
    expectOk(await change(true), 201);
    await socket.next('a node', ({ type, data }) => type === 'node' && data.name === 'late-true');
    const from = socket.mark;
    expectOk(await cesid.api('DELETE', `/bindings/${binding}`), 204);
    await socket.next('a snapshot of nothing', ({ type, data }) => type === 'snapshot' &&
        data.nodes.length === 0, { from });
    const after = socket.mark;
    expectOk(await change(false), 201);
    for (const name of ['late-true', 'late-false'])
        expectOk(await cesid.api('DELETE', `/nodes/${name}`), 204);
    socket.send({ type: 'ping' });
    await socket.next('the pong', ({ type }) => type === 'pong', { from: after });
    assert.deepEqual(socket.messages.slice(after).map(({ type }) => type), ['pong']);
    await socket.close();
    expectOk(await cesid.api('DELETE', '/users/spy'), 204);
});

test('a role is made, changed for those who have it, and removed when nobody has', async () => {
    const roles = await cesid.get('/roles');
    assert.deepEqual(roles.items.map(({ name, builtin }) => [name, builtin]),
        [['admin', true], ['operator', true], ['viewer', true]]);
    assert.deepEqual(roles.items[2].permissions, ['node:read', 'process:read', 'log:read']);
    const role = expectOk(await cesid.post('/roles', { name: 'night', permissions: ['node:read'] }),
        201);
    assert.deepEqual(role, { name: 'night', permissions: ['node:read'], builtin: false });
    expectProblem(await cesid.post('/roles', { name: 'night', permissions: [] }), 409, 'conflict');
    expectProblem(await cesid.post('/roles', { name: 'admin', permissions: [] }), 409, 'conflict');
    const { errors } = expectProblem(await cesid.post('/roles',
        { name: 'odd', permissions: ['node:read', 'root'] }), 422, 'validation_failed');
    assert.equal(errors[0].field, 'permissions/1');

    const [binding] = await make('owl', ['night', '*']);
    const owl = as(await signIn('owl'));
    expectOk(await owl('GET', '/nodes'));
    expectProblem(await owl('GET', '/processes'), 403, 'forbidden');
    const replaced = expectOk(await cesid.api('PUT', '/roles/night',
        { body: { permissions: ['process:read', 'node:read'] } }));
    assert.deepEqual(replaced.permissions, ['node:read', 'process:read']);
    assert.deepEqual(await cesid.get('/roles/night'), replaced);
    assert.deepEqual(expectOk(await cesid.api('PUT', '/roles/night', { body: replaced })), replaced);
    for (const [field, value] of [['name', 'day'], ['builtin', true]]) {
        const refused = expectProblem(await cesid.api('PUT', '/roles/night',
            { body: { ...replaced, [field]: value } }), 422, 'validation_failed');
        assert.deepEqual(refused.errors.map((error) => error.field), [field]);
    }
    expectOk(await owl('GET', '/processes'));
    expectProblem(await cesid.api('DELETE', '/roles/night'), 409, 'conflict');
    expectOk(await cesid.api('DELETE', `/bindings/${binding}`), 204);
    expectOk(await cesid.api('DELETE', '/roles/night'), 204);
    for (const [method, body] of [['GET'], ['DELETE'], ['PUT', { permissions: [] }]])
        expectProblem(await cesid.api(method, '/roles/night', { body }), 404, 'not_found');
    for (const [method, body] of [['DELETE'], ['PUT', { permissions: [] }]])
        expectProblem(await cesid.api(method, '/roles/viewer', { body }), 409, 'conflict');
    expectOk(await cesid.api('DELETE', '/users/owl'), 204);
});

test('who administers one environment reaches neither users nor system', async () => {
    await make('local', ['admin', 'production']);
    const local = as(await signIn('local'));
    for (const [method, path] of [['GET', '/users'], ['GET', '/users/admin'], ['GET', '/roles'],
        ['GET', '/bindings'], ['POST', '/system/reload'], ['GET', '/system/log-level']])
        expectProblem(await local(method, path), 403, 'forbidden');
    expectProblem(await local('POST', '/bindings', { user: 'local', role: 'admin',
        environment: '*' }), 403, 'forbidden');
    expectProblem(await local('PATCH', '/users/local', { active: true }), 403, 'forbidden');
    assert.deepEqual(names(expectOk(await local('GET', '/nodes'))), ['node-production']);
    expectOk(await cesid.api('DELETE', '/users/local'), 204);
});

test('a token acts for its owner within its scope, and makes no others', async () => {
    const made = await cesid.post('/tokens', { name: 'ci', scope: ['node:read', 'user:admin'],
        expires_at: '2099-01-01T00:00:00Z' });
    const { token, ...shown } = expectOk(made, 201);
    assert.match(token, /^cesid_[0-9a-f]{32}_[0-9a-f]{64}$/);
    assert.match(made.headers.location, new RegExp(`/api/v1/tokens/${shown.id}$`));
    assert.deepEqual(Object.keys(shown).sort(),
        ['created_at', 'expires_at', 'id', 'last_used_at', 'name', 'scope']);
    assert.equal(shown.expires_at, '2099-01-01T00:00:00.000Z');
    assert.deepEqual((await cesid.get('/tokens')).items, [shown]);

    const bearer = as(token);
    const me = expectOk(await bearer('GET', '/auth/me'));
    assert.equal(me.user.username, 'admin');
    assert.deepEqual(me.permissions,
        [{ environment: '*', permissions: ['node:read', 'user:admin'] }]);
    expectOk(await bearer('GET', '/nodes'));
    expectOk(await bearer('GET', '/users'));
    expectProblem(await bearer('GET', '/processes'), 403, 'forbidden');
    expectProblem(await bearer('POST', '/tokens', { name: 'more' }), 403, 'forbidden');
    expectProblem(await bearer('DELETE', `/tokens/${shown.id}`), 403, 'forbidden');
    expectProblem(await bearer('PUT', '/auth/password', { old: 'x', new: password }), 403,
        'forbidden');
    expectProblem(await bearer('POST', '/auth/logout'), 403, 'forbidden');
    await until('its use is noted', async () =>
        (await cesid.get('/tokens')).items[0].last_used_at !== null);

    const forged = [`${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`, `${token}0`,
        token.slice(0, -1), token.toUpperCase(), `cesid_${shown.id}_`, 'cesid_'];
    for (const wrong of forged)
        expectProblem(await as(wrong)('GET', '/nodes'), 401, 'unauthenticated');
    expectProblem(await cesid.api('GET', '/nodes', { token: null,
        headers: { Cookie: `cesid_session=${token}` } }), 401, 'unauthenticated');

    const socket = await cesid.socket({ token });
    expectOk(await cesid.api('DELETE', `/tokens/${shown.id}`), 204);
    expectProblem(await bearer('GET', '/nodes'), 401, 'unauthenticated');
    assert.equal((await within('the end of its WebSocket', socket.closed)).code, 1008);
    expectProblem(await cesid.api('DELETE', `/tokens/${shown.id}`), 404, 'not_found');
});

test('a token has what its owner has at that moment, and ends with its time', async () => {
    const [binding] = await make('maker', ['operator', 'production']);
    const maker = as(await signIn('maker'));
    const all = expectOk(await maker('POST', '/tokens', { name: 'all' }), 201);
    assert.equal(all.expires_at, null);
    assert.equal(all.scope.length, 9);
    const bearer = as(all.token);
    assert.equal(expectOk(await bearer('GET', '/auth/me')).expires_at, null);
    assert.deepEqual(names(expectOk(await bearer('GET', '/nodes'))), ['node-production']);
    expectProblem(await bearer('GET', '/users'), 403, 'forbidden');
    expectProblem(await cesid.api('DELETE', `/tokens/${all.id}`), 404, 'not_found');
    assert.deepEqual((await cesid.get('/tokens')).items, []);

    const soon = Date.now() + 3000;
    const short = expectOk(await maker('POST', '/tokens',
        { name: 'short', expires_at: new Date(soon).toISOString() }), 201);
    const over = await until('its end', async () => {
        const answer = await as(short.token)('GET', '/nodes');
        return answer.status !== 200 && answer;
    });
    expectProblem(over, 401, 'session_expired');
    assert.ok(Date.now() >= soon, 'it worked until then');
    for (const expires_at of ['2001-01-01T00:00:00Z', 'tomorrow', '2030-02-30T00:00:00Z']) {
        const { errors } = expectProblem(await maker('POST', '/tokens', { name: 'x', expires_at }),
            422, 'validation_failed');
        assert.equal(errors[0].field, 'expires_at', expires_at);
    }

    // It is no session that a new password ends.
    const mine = await cesid.socket({ token: await signIn('maker') });
    const socket = await cesid.socket({ token: all.token });
    expectOk(await cesid.api('PATCH', '/users/maker', { body: { password: 'yet another secret' } }));
    assert.equal((await within('the end of the session', mine.closed)).code, 1008);
    expectOk(await bearer('GET', '/nodes'));
    socket.send({ type: 'ping' });
    await socket.next('a pong', ({ type }) => type === 'pong');

    expectOk(await cesid.api('DELETE', `/bindings/${binding}`), 204);
    expectProblem(await bearer('GET', '/nodes'), 403, 'forbidden');
    expectOk(await cesid.api('PATCH', '/users/maker', { body: { active: false } }));
    assert.equal((await within('the end of its WebSocket', socket.closed)).code, 1008);
    expectProblem(await bearer('GET', '/auth/me'), 401, 'unauthenticated');
    expectOk(await cesid.api('DELETE', '/users/maker'), 204);
});

test('what is done with accounts is on record, without its secrets', async () => {
    const { items } = await cesid.get('/activity?limit=1000');
    const of = (action) => items.filter((item) => item.action === action);
    for (const action of ['user.create', 'user.update', 'user.delete', 'role.create', 'role.update',
        'role.delete', 'binding.create', 'binding.delete', 'token.create', 'token.delete'])
        assert.ok(of(action).some(({ result }) => result === 'ok'), action);
    assert.ok(of('user.create').some(({ target, actor }) => target === 'vera' && actor === 'admin'));
    assert.ok(of('binding.create').some(({ result, actor }) =>
        result === 'refused' && actor === 'local'));
    for (const secret of [password, 'cesid_'])
        assert.ok(!JSON.stringify(items).includes(secret), secret);
    assert.ok(!cesid.log.includes(password));
});
