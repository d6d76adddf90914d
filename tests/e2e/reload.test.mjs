// The configuration is read again while cesid works: whole or not at all.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Cesid, configText } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { scrape } from './lib/metrics.mjs';
import { until } from './lib/wait.mjs';

let fakes, cesid;

// The file changes at once, like an editor or a deployment does it.
function put(text, file = cesid.file) {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
}

function text(config = {}, nodes = cesid.nodes) {
    const own = {
        server: { listen: `127.0.0.1:${cesid.port}`, state_dir: cesid.state,
            connections_per_address: 1000 },
        store: { path: `${cesid.state}/cesid.db` },
        auth: { login_attempts: 100 },
        refresh: { interval: 1.0 },
    };
    const merged = { ...own };
    for (const [section, values] of Object.entries(config))
        merged[section] = { ...own[section], ...values };
    return configText({ ...merged, nodes });
}

// A setting in force that anybody can see.
async function heartbeat() {
    const socket = await cesid.socket();
    const { data } = await socket.next('hello', (message) => message.type === 'hello');
    await socket.close();
    return data.heartbeat;
}

const reload = async () => expectOk(await cesid.post('/system/reload'));
const names = async () => (await cesid.get('/nodes')).items.map((node) => node.name);
const reloads = async (result) =>
    (await scrape(cesid)).value('cesid_config_reloads_total', { result });

before(async () => {
    fakes = await new Fakes({ nodes: 6 }).start();
    cesid = await new Cesid({ nodes: fakes.configs().slice(0, 4) }).start();
    await cesid.login();
    for (const node of cesid.nodes)
        await cesid.nodeIs(node.name, 'up');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

test('R4.5 nothing changed, nothing is said to have', async () => {
    put(text());
    assert.deepEqual(await reload(), { added: [], removed: [], changed: [],
        unchanged: cesid.nodes.map((node) => node.name), settings: [], restart_needed: [] });
});

test('R4.1 SIGHUP takes nodes and settings over; what did not change keeps its connection', async () => {
    const [kept, gone, moved, ...rest] = fakes.configs();
    const before = await cesid.node(kept.name);
    const connected = (await fakes.order('stats', '0')).accepted;
    put(text({ websocket: { ping_interval: 7.0 } },
        [kept, { ...moved, environment: 'elsewhere', labels: { role: 'web' } }, ...rest]));
    cesid.signal('SIGHUP');
    await until('the nodes are there', async () => (await names()).length === 5);
    assert.deepEqual(await names(), [kept.name, moved.name, ...rest.map((node) => node.name)]);
    assert.equal((await cesid.node(moved.name)).environment, 'elsewhere');
    await cesid.nodeIs(rest.at(-1).name, 'up');
    assert.equal(await heartbeat(), 7);
    const now = await cesid.node(kept.name);
    assert.equal(now.revision, before.revision);
    assert.equal(now.since, before.since);
    assert.equal((await fakes.order('stats', '0')).accepted, connected);
    assert.equal((await cesid.api('GET', `/nodes/${gone.name}`)).status, 404);
});

test('R4.3 a wrong file changes nothing and says what is wrong in it', async () => {
    const before = await names();
    const refused = await reloads('refused');
    put(`${text({ websocket: { ping_interval: 3.0 } }, [])}log = { level = "loud"; };
auth = { lockout = 0.0; };
`.replace(/^auth = \{[^}]*\};\n/m, ''));
    const problem = expectProblem(await cesid.post('/system/reload'), 422, 'validation_failed');
    assert.deepEqual(problem.errors.map(({ field }) => field).sort(), ['auth.lockout', 'log.level']);
    for (const { message } of problem.errors)
        assert.match(message, /^cesid\.conf:\d+: \S/);
    assert.ok(!JSON.stringify(problem).includes(cesid.directory));
    assert.deepEqual(await names(), before);
    assert.equal(await heartbeat(), 7);
    assert.equal(await reloads('refused'), refused + 1);
    await until('the log has it', () =>
        /the new configuration is wrong .*line=\d+ key=log\.level/.test(cesid.log));

    put('this is no configuration');
    cesid.signal('SIGHUP');
    await until('it is counted', async () => (await reloads('refused')) === refused + 2);
    assert.deepEqual(await names(), before);
});

test('what needs a restart is named and does not change', async () => {
    put(text({ server: { threads: 32 }, refresh: { threads: 2, interval: 0.5 },
        websocket: { clients: 100 } }));
    const answer = await reload();
    assert.deepEqual(answer.restart_needed,
        ['server.threads', 'refresh.threads', 'websocket.clients']);
    assert.deepEqual(answer.settings, ['refresh.interval', 'websocket.ping_interval']);
    // Until it is done or taken back.
    assert.deepEqual((await reload()).restart_needed, answer.restart_needed);
    put(text());
    assert.deepEqual((await reload()).restart_needed, []);
});

test('a node of the store gives way to one of the file, and comes back when that one goes', async () => {
    const url = 'http://127.0.0.1:1/RPC2';
    const source = async (name) => {
        const node = await cesid.node(name);
        return [node.source, node.environment];
    };
    for (const name of ['both', 'own'])
        expectOk(await cesid.post('/nodes', { name, environment: 'stored', url }), 201);
    put(text({}, [...cesid.nodes, { name: 'both', environment: 'filed', url }]));
    const taken = await reload();
    assert.deepEqual([taken.added, taken.removed, taken.changed], [[], [], ['both']]);
    assert.deepEqual(await source('both'), ['config', 'filed']);
    assert.deepEqual(await source('own'), ['store', 'stored']);
    expectProblem(await cesid.api('DELETE', '/nodes/both'), 409, 'read_only_node');
    await until('the log has it', () =>
        /a node of the store has the name of one in the file.*node=both/.test(cesid.log));

    put(text());
    const back = await reload();
    assert.deepEqual([back.added, back.removed, back.changed], [[], [], ['both']]);
    assert.deepEqual(await source('both'), ['store', 'stored']);
    assert.deepEqual(await source('own'), ['store', 'stored']);
    for (const name of ['both', 'own'])
        expectOk(await cesid.api('DELETE', `/nodes/${name}`), 204);
});

test('nodes may be changed over the API while the file is read again and again', async () => {
    const url = 'http://127.0.0.1:1/RPC2';
    const file = [...cesid.nodes, { name: 'contended', environment: 'filed', url }];
    let running = true;
    const reloading = (async () => {
        for (let i = 0; running; i++) {
            put(text({}, i % 2 ? file : cesid.nodes));
            await reload();
        }
    })();
    for (let i = 0; i < 20; i++) {
        const made = await cesid.post('/nodes', { name: 'contended', environment: 'stored', url });
        assert.ok([201, 409].includes(made.status), made.text);
        const changed = await cesid.api('PATCH', '/nodes/contended',
            { body: { labels: { round: String(i) } } });
        assert.ok([200, 404, 409].includes(changed.status), changed.text);
        const gone = await cesid.api('DELETE', '/nodes/contended');
        assert.ok([204, 404, 409].includes(gone.status), gone.text);
    }
    running = false;
    await reloading;
    put(text());
    await reload();
    const left = await cesid.api('DELETE', '/nodes/contended');
    assert.ok([204, 404].includes(left.status), left.text);
    assert.deepEqual(await names(), cesid.nodes.map((node) => node.name));
});

test('reloading needs system:admin', async () => {
    expectProblem(await cesid.api('POST', '/system/reload', { token: null }), 401, 'unauthenticated');
});

test('R4.4 SIGHUPs in quick succession are serialised, and the last content wins', async () => {
    const rounds = 40;
    const before = await reloads('ok');
    for (let i = 1; i <= rounds; i++) {
        put(text({ websocket: { ping_interval: 5 + i } }));
        cesid.signal('SIGHUP');
        if (i % 4 === 0)
            await Promise.all([reload(), reload(), reload()]);
    }
    await until('the last content is in force', async () => (await heartbeat()) === 5 + rounds);
    assert.ok((await reloads('ok')) > before);
});
