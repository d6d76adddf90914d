// Metrics and health: everything named from the start, numbers that move when things happen, and
// who may read them.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { promtool, scrape } from './lib/metrics.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { runToEnd } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

// CONTRACT: name, type, labels, and whether there is something to say about an empty fleet.
const families = [
    ['cesid_build_info', 'gauge', ['version', 'revision']],
    ['cesid_threads', 'gauge', ['subsystem']],
    ['cesid_open_fds', 'gauge', []],
    ['cesid_resident_bytes', 'gauge', []],
    ['cesid_nodes', 'gauge', ['environment', 'state'], 'fleet'],
    ['cesid_processes', 'gauge', ['environment', 'state'], 'fleet'],
    ['cesid_node_up', 'gauge', ['node', 'environment'], 'fleet'],
    ['cesid_process_state', 'gauge', ['node', 'group', 'name'], 'fleet'],
    ['cesid_process_start_time_seconds', 'gauge', ['node', 'group', 'name'], 'fleet'],
    ['cesid_metrics_truncated', 'gauge', []],
    ['cesid_refresh_duration_seconds', 'histogram', []],
    ['cesid_refresh_total', 'counter', ['result']],
    ['cesid_refresh_lag_seconds', 'gauge', []],
    ['cesid_connections', 'gauge', ['pool', 'state']],
    ['cesid_breaker_state', 'gauge', ['node'], 'fleet'],
    ['cesid_breaker_transitions_total', 'counter', ['to']],
    ['cesid_operations_total', 'counter', ['action', 'result']],
    ['cesid_operation_duration_seconds', 'histogram', ['action']],
    ['cesid_http_requests_total', 'counter', ['route', 'method', 'status']],
    ['cesid_http_request_duration_seconds', 'histogram', ['route']],
    ['cesid_ws_clients', 'gauge', []],
    ['cesid_ws_messages_total', 'counter', ['type']],
    ['cesid_ws_dropped_total', 'counter', ['reason']],
    ['cesid_ws_queue_depth', 'histogram', []],
    ['cesid_store_operations_total', 'counter', ['statement', 'result']],
    ['cesid_store_duration_seconds', 'histogram', ['statement']],
    ['cesid_store_pool', 'gauge', ['state']],
    ['cesid_store_up', 'gauge', []],
    ['cesid_auth_total', 'counter', ['result']],
    ['cesid_lock_wait_seconds', 'histogram', ['lock']],
    ['cesid_log_messages_total', 'counter', ['level']],
    ['cesid_config_reloads_total', 'counter', ['result']],
];

let supervisord, cesid;
before(async () => {
    supervisord = new Supervisord({
        name: 'alpha',
        programs: {
            sleeper: { command: '/bin/sleep 100000' },
            idle: { command: '/bin/sleep 100000', autostart: false },
        },
    });
    await supervisord.start();
    cesid = new Cesid({
        nodes: [nodeConfig(supervisord)],
        config: {
            refresh: { interval: 0.5 }, store: { health_interval: 0.5 },
            timeouts: { connect: 1.0, refresh: 1.5 },
            breaker: { failures: 2, open_min: 1.0, open_max: 1.0 },
        },
    });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs('alpha', 'up');
});
after(async () => {
    await cesid?.stop();
    supervisord?.child?.kill();
});

// Until the page is as it should be; what the page says otherwise is told.
async function eventually(what, condition) {
    return await until(what, async () => {
        const page = await scrape(cesid);
        await condition(page);
        return page;
    });
}

test('every family is there right after start, at zero where nothing has happened', async () => {
    const empty = await new Cesid({ config: { metrics: { per_process: true } } }).start();
    try {
        const page = await scrape(empty);
        for (const [name, type, labels, fleet] of families) {
            const family = page.families.get(name);
            assert.ok(family, `no ${name}`);
            assert.equal(family.type, type, name);
            assert.ok(fleet || family.samples.length > 0, `${name} says nothing`);
            for (const sample of family.samples)
                assert.deepEqual(Object.keys(sample.labels).filter((key) => key !== 'le').sort(),
                    [...labels].sort(), name);
        }
        for (const [name, labels] of [
            ['cesid_operations_total', { action: 'restart', result: 'failed' }],
            ['cesid_http_requests_total', { route: '/api/v1/nodes/{node}', method: 'GET' }],
            ['cesid_http_request_duration_seconds_count', { route: '/api/v1/nodes/{node}' }],
            ['cesid_config_reloads_total', { result: 'ok' }],
            ['cesid_ws_dropped_total', { reason: 'queue_full' }],
            ['cesid_breaker_transitions_total', { to: 'open' }],
        ]) {
            assert.ok(page.all(name, labels).length > 0, name);
            assert.equal(page.value(name, labels), 0, name);
        }
        assert.equal(page.value('cesid_build_info'), 1);
        assert.equal(page.value('cesid_store_up'), 1);
        await promtool(['check', 'metrics'], page.text);
    } finally {
        await empty.stop();
    }
});

test('the page passes promtool while things happen', async () => {
    await cesid.api('GET', '/nodes/nowhere');
    await promtool(['check', 'metrics'], (await scrape(cesid)).text);
    // HEAD has the headers and no page.
    const head = await cesid.request('HEAD', '/metrics', { token: null });
    assert.equal(head.status, 200);
    assert.equal(head.bytes.length, 0);
});

test('R10.1 threads, descriptors and memory are what the system says', async () => {
    const page = await scrape(cesid);
    const status = readFileSync(`/proc/${cesid.child.pid}/status`, 'utf8');
    const number = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)[1]);
    const counted = page.value('cesid_threads');
    // A sanitizer may have a thread of its own.
    assert.ok(number('Threads') - counted >= 0 && number('Threads') - counted <= 1,
        `${counted} of ${number('Threads')}`);
    for (const subsystem of ['main', 'http', 'refresh', 'rpc', 'hub', 'bus', 'operation'])
        assert.ok(page.value('cesid_threads', { subsystem }) >= 1, subsystem);
    const rss = number('VmRSS') * 1024;
    const resident = page.value('cesid_resident_bytes');
    assert.ok(Math.abs(resident - rss) < rss / 2, `${resident} ${rss}`);
    const open = readdirSync(`/proc/${cesid.child.pid}/fd`).length;
    assert.ok(Math.abs(page.value('cesid_open_fds') - open) <= 10, `${open}`);
});

test('nodes, processes and polls', async () => {
    const page = await eventually('the fleet', (now) => {
        assert.equal(now.value('cesid_node_up', { node: 'alpha', environment: 'test' }), 1);
        assert.equal(now.value('cesid_process_state', { name: 'sleeper' }), 20);
    });
    assert.equal(page.value('cesid_nodes', { environment: 'test', state: 'up' }), 1);
    assert.equal(page.value('cesid_nodes', { environment: 'test' }), 1);
    assert.equal(page.value('cesid_processes', { environment: 'test', state: 'running' }), 1);
    assert.equal(page.value('cesid_processes', { environment: 'test', state: 'stopped' }), 1);
    assert.equal(page.value('cesid_process_state', { node: 'alpha', group: 'idle' }), 0);
    assert.equal(page.value('cesid_metrics_truncated'), 0);
    assert.equal(page.value('cesid_breaker_state', { node: 'alpha' }), 0);
    const { started_at: at } = await cesid.process('alpha', 'sleeper');
    assert.equal(page.value('cesid_process_start_time_seconds', { name: 'sleeper' }),
        Date.parse(at) / 1000);
    const polls = page.value('cesid_refresh_total', { result: 'ok' });
    await eventually('more polls', (now) => {
        assert.ok(now.value('cesid_refresh_total', { result: 'ok' }) >= polls + 2);
        assert.equal(now.value('cesid_refresh_duration_seconds_count'),
            now.value('cesid_refresh_total'));
        assert.ok(now.value('cesid_refresh_duration_seconds_sum') > 0);
    });
    assert.equal(page.value('cesid_connections', { pool: 'refresh', state: 'free' }) +
        page.value('cesid_connections', { pool: 'refresh', state: 'in_use' }), 256);
});

test('R10.3 operations and requests are counted and timed', async () => {
    const before = await scrape(cesid);
    const moved = (now, name, labels) => now.value(name, labels) - before.value(name, labels);
    expectOk(await cesid.post('/nodes/alpha/processes/idle/start'));
    expectProblem(await cesid.post('/nodes/alpha/processes/idle/start'), 409, 'already_started');
    const page = await eventually('both starts', (now) => {
        assert.equal(moved(now, 'cesid_operations_total', { action: 'start', result: 'ok' }), 1);
        assert.equal(moved(now, 'cesid_operations_total', { action: 'start', result: 'failed' }), 1);
        assert.equal(moved(now, 'cesid_operation_duration_seconds_count', { action: 'start' }), 2);
    });
    assert.ok(page.value('cesid_operation_duration_seconds_sum', { action: 'start' }) > 0);
    const route = '/api/v1/nodes/{node}/processes/{process}/start';
    await eventually('both requests', (now) => {
        for (const status of ['200', '409'])
            assert.equal(moved(now, 'cesid_http_requests_total', { route, method: 'POST', status }),
                1);
        assert.equal(moved(now, 'cesid_http_request_duration_seconds_count', { route }), 2);
    });
});

test('what strangers send makes no series', async () => {
    for (const path of ['/api/v1/nothing', '/api/v1/nodes/a/b/c/d', '/api/v1/../x'])
        await cesid.request('GET', path);
    await cesid.request('BREW', '/api/v1/nodes');
    const page = await eventually('they are counted', (now) =>
        assert.ok(now.value('cesid_http_requests_total', { route: 'unmatched' }) >= 3));
    for (const { labels } of page.all('cesid_http_requests_total')) {
        assert.match(labels.route, /^(unmatched|\/.*)$/);
        assert.match(labels.method, /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other)$/);
        assert.doesNotMatch(labels.route, /nothing|alpha/);
    }
});

test('authentication is counted by its end', async () => {
    const before = await scrape(cesid);
    await cesid.api('GET', '/nodes', { token: null });
    await cesid.post('/auth/login', { username: 'admin', password: 'wrong wrong' }, { token: null });
    await cesid.get('/nodes');
    await eventually('three ends', (now) => {
        for (const result of ['ok', 'unauthenticated', 'invalid_credentials'])
            assert.ok(now.value('cesid_auth_total', { result }) >
                before.value('cesid_auth_total', { result }), result);
    });
});

test('WebSocket clients and their messages are counted by type', async () => {
    const before = await scrape(cesid);
    const socket = await cesid.socket();
    await socket.subscribe('fleet');
    await eventually('the client', (now) => {
        assert.equal(now.value('cesid_ws_clients'), before.value('cesid_ws_clients') + 1);
        for (const type of ['hello', 'snapshot'])
            assert.equal(now.value('cesid_ws_messages_total', { type }),
                before.value('cesid_ws_messages_total', { type }) + 1, type);
    });
    expectOk(await cesid.post('/nodes/alpha/processes/idle/stop'));
    await socket.next('the stop', (m) => m.type === 'process' && m.data.state === 'STOPPED');
    await eventually('the messages', (now) => {
        assert.ok(now.value('cesid_ws_messages_total', { type: 'process' }) >
            before.value('cesid_ws_messages_total', { type: 'process' }));
        assert.ok(now.value('cesid_ws_queue_depth_count') >
            before.value('cesid_ws_queue_depth_count'));
    });
    await socket.close();
    await eventually('no client', (now) =>
        assert.equal(now.value('cesid_ws_clients'), before.value('cesid_ws_clients')));
});

test('statements of the store are counted and timed', async () => {
    const before = await scrape(cesid);
    await cesid.login();
    await eventually('a transaction', (now) => {
        const labels = { statement: 'transaction' };
        assert.ok(now.value('cesid_store_operations_total', { ...labels, result: 'ok' }) >
            before.value('cesid_store_operations_total', { ...labels, result: 'ok' }));
        assert.ok(now.value('cesid_store_duration_seconds_count', labels) >
            before.value('cesid_store_duration_seconds_count', labels));
        assert.equal(now.value('cesid_store_pool', { state: 'waiting' }), 0);
        assert.ok(now.value('cesid_store_pool', { state: 'free' }) >= 1);
    });
});

async function health(status) {
    return expectOk(await cesid.api('GET', '/health'), status);
}

test('R10.4 health says what is degraded, since when and why', async () => {
    expectProblem(await cesid.api('GET', '/health', { token: null }), 401, 'unauthenticated');
    const well = await until('all is well', async () => {
        const now = await health(200);
        assert.equal(now.status, 'ok', JSON.stringify(now));
        return now;
    });
    for (const name of ['store', 'refresh', 'hub', 'operations', 'bus', 'nodes']) {
        assert.equal(well.components[name].status, 'ok', name);
        assert.equal(well.components[name].reason, null, name);
        assert.match(well.components[name].since, /^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/, name);
    }
    assert.equal(well.components.nodes.up, 1);
    assert.equal(well.components.refresh.nodes, 1);

    // A node that is down: the fleet is degraded, cesid is not failed.
    const stopped = new Date();
    await supervisord.stop();
    const bad = await until('degraded', async () => {
        const now = await health(200);
        assert.equal(now.status, 'degraded');
        assert.equal(now.components.nodes.status, 'degraded');
        return now.components;
    });
    assert.equal(bad.nodes.reason, '1 of 1 nodes is down');
    assert.ok(Date.parse(bad.nodes.since) >= stopped.getTime() - 1000);
    assert.equal(bad.store.status, 'ok');
    assert.equal((await cesid.request('GET', '/readyz')).status, 200);
    await eventually('the breaker', (now) => {
        assert.equal(now.value('cesid_node_up', { node: 'alpha' }), 0);
        assert.ok(now.value('cesid_breaker_transitions_total', { to: 'open' }) >= 1);
        assert.ok(now.value('cesid_refresh_total', { result: 'node_unreachable' }) >= 2);
        assert.equal(now.value('cesid_nodes', { state: 'down' }), 1);
        assert.ok(now.value('cesid_breaker_state', { node: 'alpha' }) >= 1);
    });
    await supervisord.start();
    await eventually('the breaker closes', (now) => {
        assert.equal(now.value('cesid_node_up', { node: 'alpha' }), 1);
        assert.equal(now.value('cesid_breaker_state', { node: 'alpha' }), 0);
        assert.ok(now.value('cesid_breaker_transitions_total', { to: 'half_open' }) >= 1);
        assert.ok(now.value('cesid_breaker_transitions_total', { to: 'closed' }) >= 1);
    });
    await until('all is well again', async () => (await health(200)).status === 'ok');
    assert.match(cesid.log, /health a component is not well component=nodes/);
    await until('the log has it', () =>
        /health a component is well again component=nodes/.test(cesid.log));
});

test('R10.4 a store that does not answer is a failure, and its return is seen', async () => {
    const rename = async (from, to) => {
        const { code, stderr } = await runToEnd('/usr/bin/python3', ['-c',
            'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=5); ' +
            'db.execute(f"ALTER TABLE {sys.argv[2]} RENAME TO {sys.argv[3]}"); db.commit()',
            join(cesid.state, 'cesid.db'), from, to]);
        assert.equal(code, 0, stderr);
    };
    await rename('schema_version', 'elsewhere');
    try {
        const failed = await until('failed', async () => await health(503));
        assert.equal(failed.status, 'failed');
        assert.equal(failed.components.store.status, 'failed');
        assert.match(failed.components.store.reason, /store_unavailable/);
        assert.equal(failed.components.hub.status, 'ok');
        assert.equal((await scrape(cesid)).value('cesid_store_up'), 0);
        const ready = expectProblem(await until('not ready', async () => {
            const answer = await cesid.request('GET', '/readyz', { token: null });
            return answer.status === 503 && answer;
        }), 503, 'store_unavailable');
        assert.equal(ready.detail, 'store');
        assert.equal((await cesid.request('GET', '/healthz', { token: null })).status, 200);
    } finally {
        await rename('elsewhere', 'schema_version');
    }
    await until('well again', async () => (await health(200)).components.store.status === 'ok');
    assert.equal((await scrape(cesid)).value('cesid_store_up'), 1);
});

test('without a token only direct clients on the loopback address read the metrics', async () => {
    for (const headers of [{ 'X-Forwarded-For': '127.0.0.1' }, { Forwarded: 'for=127.0.0.1' },
        { 'X-Real-IP': '127.0.0.1' }, { Via: '1.1 proxy' }])
        expectProblem(await cesid.request('GET', '/metrics', { token: null, headers }), 403,
            'forbidden');
    assert.equal((await cesid.request('POST', '/metrics', { token: null })).status, 405);
    // Who is signed in is no better off.
    expectProblem(await cesid.request('GET', '/metrics', { headers: { Via: '1.1 x' } }), 403,
        'forbidden');
});

test('with a token it is the token that counts; switched off there is nothing', async () => {
    const guarded = new Cesid();
    const file = join(guarded.directory, 'metrics-token');
    writeFileSync(file, 'scraper-secret-0123456789\n', { mode: 0o600 });
    guarded.config = { metrics: { token_file: file } };
    await guarded.start();
    try {
        const ask = async (headers) =>
            await guarded.request('GET', '/metrics', { token: null, headers });
        for (const headers of [{}, { Authorization: 'Bearer scraper-secret-012345678' },
            { Authorization: 'Bearer scraper-secret-01234567890' }, { Authorization: 'Bearer ' },
            { Authorization: 'Basic c2NyYXBlci1zZWNyZXQ=' },
            { Cookie: 'cesid_session=scraper-secret-0123456789' }])
            expectProblem(await ask(headers), 401, 'unauthenticated');
        assert.equal((await guarded.request('GET', '/metrics?token=scraper-secret-0123456789',
            { token: null })).status >= 400, true);
        const right = { Authorization: 'Bearer scraper-secret-0123456789' };
        await scrape(guarded, right);
        // Through a proxy, too.
        await scrape(guarded, { ...right, 'X-Forwarded-For': '192.0.2.1' });
        // It opens nothing else.
        expectProblem(await guarded.api('GET', '/nodes', { token: null, headers: right }), 401,
            'unauthenticated');
        assert.doesNotMatch(guarded.log, /scraper-secret/);
    } finally {
        await guarded.stop();
    }
    const off = await new Cesid({ config: { metrics: { enabled: false } } }).start();
    try {
        expectProblem(await off.request('GET', '/metrics', { token: null }), 404, 'not_found');
    } finally {
        await off.stop();
    }
});

test('R2.4 polls share a bounded number of connections, and series of processes are bounded, too',
    async () => {
        const fakes = await new Fakes({ nodes: 300, processes: 10 }).start();
        const crowd = new Cesid({
            nodes: fakes.configs(),
            config: { refresh: { interval: 1.0, connections: 8 }, metrics: { max_series: 1000 } },
        });
        try {
            await crowd.start();
            const page = await until('all nodes are up', async () => {
                const now = await scrape(crowd);
                assert.ok(now.value('cesid_connections', { pool: 'refresh', state: 'in_use' }) <= 8);
                assert.equal(now.value('cesid_connections', { pool: 'refresh', state: 'free' }) +
                    now.value('cesid_connections', { pool: 'refresh', state: 'in_use' }), 8);
                assert.equal(now.value('cesid_nodes', { state: 'up' }), 300);
                return now;
            }, 20);
            const stats = await fakes.order('stats');
            assert.ok(stats.max_in_flight <= 8, JSON.stringify(stats));
            assert.equal(page.value('cesid_processes'), 3000);
            assert.equal(page.value('cesid_metrics_truncated'), 1);
            const series = page.all('cesid_process_state').length +
                page.all('cesid_process_start_time_seconds').length;
            assert.ok(series > 990 && series <= 1000, `${series}`);
            await promtool(['check', 'metrics'], page.text);
        } finally {
            await crowd.stop();
            await fakes.stop();
        }
    });

test('the samples for Prometheus are good: what they name is there', async () => {
    await promtool(['check', 'rules', join(root, 'conf/prometheus-alerts.yml')]);
    await promtool(['test', 'rules', join(root, 'tests/prometheus/alerts-test.yml')]);
    await promtool(['check', 'config', '--syntax-only', join(root, 'conf/prometheus.yml')]);
    const page = await scrape(cesid);
    const used = readFileSync(join(root, 'conf/prometheus-alerts.yml'), 'utf8').match(/\bcesid_\w+/g);
    assert.ok(used.length > 10);
    for (const name of new Set(used))
        assert.ok(page.families.has(name.replace(/_(bucket|sum|count)$/, '')), name);
});

test('the manual lists every family', async () => {
    const manual = readFileSync(join(root, 'man/cesid.8'), 'utf8');
    for (const name of (await scrape(cesid)).families.keys())
        assert.ok(manual.includes(name), name);
});
