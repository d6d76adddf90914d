// Every setting that a reload may change is changed while cesid works, and seen to be in force. The
// table below is held against the sample configuration: no key can be forgotten.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid, configText } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { scrape } from './lib/metrics.mjs';
import { Child } from './lib/system.mjs';
import { sleep, slow, until, within } from './lib/wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const nodes = 4, processes = 60;
let fakes, cesid;

// Puts a configuration that differs from the test's own in these sections, and reloads.
async function apply(sections, extra = []) {
    const own = {
        server: { listen: `127.0.0.1:${cesid.port}`, state_dir: cesid.state,
            connections_per_address: 1000 },
        store: { path: join(cesid.state, 'cesid.db') },
        auth: { login_attempts: 100 },
        refresh: { interval: 0.3 },
        breaker: { failures: 1000 },
    };
    const all = { ...own };
    for (const [section, values] of Object.entries(sections))
        all[section] = { ...own[section], ...values };
    writeFileSync(`${cesid.file}.new`, configText({ ...all, nodes: [...fakes.configs(), ...extra] }),
        { mode: 0o600 });
    renameSync(`${cesid.file}.new`, cesid.file);
    return expectOk(await cesid.post('/system/reload'));
}

const seconds = async (work) => {
    const begin = performance.now();
    const value = await work();
    return [value, (performance.now() - begin) / 1000];
};
const between = (value, least, most) =>
    assert.ok(value >= least && value <= most, `${value} is not in ${least} to ${most}`);
const first = () => fakes.name(0);
// Asked for, it is polled whatever its breaker says.
const isUp = () => until('the node is up', async () =>
    (await cesid.post(`/nodes/${first()}/refresh`)).status === 200 &&
    (await cesid.node(first())).state === 'up');
const hello = async (options) => {
    const socket = await cesid.socket(options);
    return [socket, await socket.next('hello', (message) => message.type === 'hello')];
};

// An action that the node takes and never answers.
async function hangs(method, path, timeout, body) {
    await fakes.fault('0', 'silent', `method=${method}`);
    const [answer, took] = await seconds(() => path.includes('?') || !path.includes('/p0001/')
        ? cesid.api('GET', path) : cesid.post(path, body));
    await fakes.fault('0', 'none');
    // A start that nobody answered is looked for, and is then a fault.
    assert.ok(method === 'supervisor.startProcess' ? [502, 504].includes(answer.status)
        : answer.status === 504, answer.text);
    between(took, timeout * 0.9, timeout + 2.5 * slow);
    await isUp();
}
const action = (name, method, body) => async () => {
    await apply({ timeouts: { [name]: 0.4 } });
    await fakes.order('state', '0', '*:p0001', name === 'start' ? 'STOPPED' : 'RUNNING');
    await hangs(`supervisor.${method}`, `/nodes/${first()}/processes/p0001/${name}`, 0.4, body);
};

async function operate(select, headers) {
    return expectOk(await cesid.post('/operations', { action: 'start', select }, { headers }),
        headers ? 200 : 202);
}

// The attempts until the user is kept out, and for how long that is.
async function lockedOut(username) {
    for (let tries = 1; ; tries++) {
        const answer = await cesid.post('/auth/login', { username, password: 'wrong' },
            { token: null });
        if (answer.status !== 401) {
            expectProblem(answer, 429, 'locked_out');
            return [tries, Number(answer.headers['retry-after'])];
        }
    }
}

const keys = {
    'auth.session_ttl': async () => {
        await apply({ auth: { session_ttl: 77.0 } });
        const { expires_at: end } = expectOk(await cesid.post('/auth/login',
            { username: 'admin', password: cesid.adminPassword }, { token: null }));
        between(Date.parse(end) - Date.now(), 77e3 - 20e3 * slow, 77e3);
    },
    'auth.login_attempts': async () => {
        await apply({ auth: { login_attempts: 3, lockout: 30.0 } });
        const [tries] = await lockedOut('somebody');
        between(tries, 3, 4);
    },
    'auth.lockout': async () => {
        await apply({ auth: { login_attempts: 1, lockout: 500.0 } });
        const [, wait] = await lockedOut('somebody-else');
        between(wait, 400, 500);
    },
    'refresh.interval': async () => {
        // The next poll is an hour away, and still comes as soon as the new interval wants it.
        await apply({ refresh: { interval: 3600.0 } });
        const polls = async () => (await fakes.order('each', '0'))[0].polls;
        await sleep(0.5);
        const before = await polls();
        await sleep(0.7);
        assert.equal(await polls(), before);
        await apply({ refresh: { interval: 0.1 } });
        await until('polls', async () => await polls() >= before + 5, 3);
    },
    'refresh.connections': async () => {
        await apply({ refresh: { connections: 7 } });
        const page = await scrape(cesid);
        assert.equal(page.value('cesid_connections', { pool: 'refresh', state: 'free' }) +
            page.value('cesid_connections', { pool: 'refresh', state: 'in_use' }), 7);
    },
    'refresh.answer_max': async () => {
        await apply({ refresh: { answer_max: 1024 } });
        assert.equal((await cesid.nodeIs(first(), 'down')).cause, 'too_large');
    },
    'refresh.processes_max': async () => {
        await apply({ refresh: { processes_max: 5 } });
        await cesid.nodeIs(first(), 'down');
    },
    'timeouts.connect': async () => {
        // A full backlog: the kernel answers nobody.
        const full = new Child('python3', ['-c', `
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(0)
kept = []
for i in range(4):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    kept.append(client)
print(server.getsockname()[1], flush=True)
sys.stdin.read()
`]);
        const port = await until('a port', () => full.stdout.trim());
        await apply({ timeouts: { connect: 0.5, refresh: 60.0 }, refresh: { interval: 30.0 } },
            [{ name: 'full', url: `http://127.0.0.1:${port}/RPC2` }]);
        const node = await cesid.nodeIs('full', 'down', 5);
        assert.equal(node.cause, 'timeout');
        full.kill();
        // The descriptor of the connection that was never made is somebody else's by now. When the
        // node goes, so must nothing of theirs.
        const sockets = await Promise.all(Array.from({ length: 8 }, () => cesid.socket()));
        await apply({});
        for (const socket of sockets) {
            socket.send({ type: 'ping' });
            await socket.next('a pong', (message) => message.type === 'pong');
            await socket.close();
        }
    },
    'timeouts.refresh': async () => {
        await apply({ timeouts: { refresh: 0.4 } });
        await fakes.fault('0', 'silent');
        await cesid.nodeIs(first(), 'down', 3);
        await fakes.fault('0', 'none');
    },
    'timeouts.start': action('start', 'startProcess'),
    'timeouts.stop': action('stop', 'stopProcess'),
    'timeouts.restart': action('restart', 'stopProcess'),
    'timeouts.signal': action('signal', 'signalProcess', { signal: 'HUP' }),
    'timeouts.log': async () => {
        await apply({ timeouts: { log: 0.4 } });
        await hangs('supervisor.*Log', `/nodes/${first()}/processes/p0001/log?length=10`, 0.4);
    },
    'timeouts.config': async () => {
        await apply({ timeouts: { config: 0.4 } });
        await hangs('supervisor.getAllConfigInfo', `/nodes/${first()}/config`, 0.4);
    },
    'timeouts.batch': async () => {
        await apply({ timeouts: { batch: 0.5 } });
        await fakes.fault('0', 'silent', 'method=supervisor.startProcess');
        await fakes.order('state', '0', '*:p0002', 'STOPPED');
        const [done, took] = await seconds(() => operate({ nodes: [first()],
            processes: ['*:p0002'] }, { Prefer: 'wait=20' }));
        await fakes.fault('0', 'none');
        assert.equal(done.failed, 1);
        between(took, 0.4, 0.5 + 2.5 * slow);
    },
    'breaker.failures': async () => {
        await apply({ breaker: { failures: 2 } });
        await fakes.fault('0', 'closed');
        const open = await until('an open breaker', async () => {
            const { breaker } = await cesid.node(first());
            return breaker.state === 'open' && breaker;
        });
        assert.equal(open.failures, 2);
    },
    'breaker.open_min': async () => {
        await apply({ breaker: { failures: 1, open_min: 40.0 } });
        await fakes.fault('0', 'closed');
        const { breaker } = await until('an open breaker', async () => {
            const node = await cesid.node(first());
            return node.breaker.state === 'open' && node;
        });
        between(Date.parse(breaker.retry_at) - Date.now(), 10e3, 60e3);
    },
    'breaker.open_max': async () => {
        await apply({ breaker: { failures: 1, open_min: 40.0 } });
        await fakes.fault('0', 'closed');
        await until('an open breaker', async () =>
            (await cesid.node(first())).breaker.state === 'open');
        // One that is open does not stay so for longer than it now may.
        await apply({ breaker: { failures: 1, open_min: 0.1, open_max: 0.2 } });
        // It opens anew over and over, and never for longer than that.
        for (let i = 0; i < 6; i++) {
            const { breaker } = await cesid.node(first());
            if (breaker.retry_at)
                between(Date.parse(breaker.retry_at) - Date.now(), -60e3, 400);
            await sleep(0.15);
        }
    },
    'operations.parallelism': async () => {
        for (const [parallelism, least, most] of [[1, 0.3 * 4, 60], [50, 0, 0.3 * 3 + slow]]) {
            await apply({ operations: { parallelism } });
            await fakes.order('state', '*', '*:p0003', 'STOPPED');
            await fakes.fault('*', 'delay', '0.3', 'method=supervisor.startProcess');
            const [done, took] = await seconds(() => operate({ processes: ['*:p0003'] },
                { Prefer: 'wait=60' }));
            await fakes.fault('*', 'none');
            assert.equal(done.succeeded, nodes, JSON.stringify(done));
            between(took, least, most);
        }
    },
    'operations.history': async () => {
        const listed = async () => (await cesid.get('/operations')).total;
        assert.ok(await listed() > 2);
        await apply({ operations: { history: 2 } });
        assert.equal(await listed(), 2);
    },
    'websocket.queue': async () => {
        const behind = async (queue) => {
            await apply({ websocket: { queue } });
            const [socket] = await hello();
            await socket.subscribe('fleet');
            socket.ws._socket.pause();
            const dropped = async () => (await scrape(cesid)).value('cesid_ws_dropped_total');
            const before = await dropped();
            let state = 'STOPPED';
            await until('a full queue', async () => {
                await fakes.order('state', '*', '*', state);
                state = state === 'STOPPED' ? 'EXITED' : 'STOPPED';
                await sleep(0.1);
                return await dropped() > before;
            }, 30);
            socket.ws.terminate();
            await fakes.order('state', '*', '*', 'RUNNING');
        };
        await behind(2);
    },
    'websocket.ping_interval': async () => {
        await apply({ websocket: { ping_interval: 0.3 } });
        const [socket, { data }] = await hello();
        assert.equal(data.heartbeat, 0.3);
        await within('two pings', new Promise((done) => {
            let pings = 0;
            socket.ws.on('ping', () => ++pings === 2 && done());
        }));
        await socket.close();
    },
    'websocket.idle_timeout': async () => {
        await apply({ websocket: { ping_interval: 0.3, idle_timeout: 0.6 } });
        const begin = performance.now();
        const [socket] = await hello();
        socket.ws._socket.pause(); // no pongs
        await until('it is closed', async () => {
            const { queues } = await cesid.get('/system');
            return queues.hub.clients === 0;
        });
        between((performance.now() - begin) / 1000, 0.2, 3 * slow);
        socket.ws.terminate();
    },
    'websocket.message_max': async () => {
        await apply({ websocket: { message_max: 256 } });
        const [socket] = await hello();
        socket.send({ type: 'subscribe', topics: ['x'.repeat(300)] });
        assert.equal((await within('its end', socket.closed)).code, 1009);
    },
    'websocket.rate': async () => {
        await apply({ websocket: { rate: 100000.0, burst: 50 } });
        const [socket] = await hello();
        for (let i = 0; i < 40; i++)
            socket.send({ type: 'ping' });
        await socket.next('a pong', (message) => message.type === 'pong');
        await apply({ websocket: { rate: 0.1, burst: 50 } }); // an open client's, too
        for (let i = 0; i < 100; i++)
            socket.send({ type: 'ping' });
        assert.equal((await within('its end', socket.closed)).code, 1008);
    },
    'websocket.burst': async () => {
        await apply({ websocket: { rate: 0.1, burst: 2 } });
        const [socket] = await hello();
        for (let i = 0; i < 5; i++)
            socket.send({ type: 'ping' });
        assert.equal((await within('its end', socket.closed)).code, 1008);
    },
    'websocket.origins': async () => {
        const answer = expectOk(await cesid.post('/auth/login', { username: 'admin',
            password: cesid.adminPassword, cookie: true }, { token: null }));
        assert.ok(answer.csrf_token);
        const login = await cesid.post('/auth/login', { username: 'admin',
            password: cesid.adminPassword, cookie: true }, { token: null });
        const Cookie = login.headers['set-cookie'][0].split(';')[0];
        const from = { token: null, headers: { Cookie, Origin: 'https://portal.example' } };
        await assert.rejects(cesid.socket(from), /403/);
        await apply({ websocket: { origins: ['https://portal.example'] } });
        const [socket] = await hello(from);
        await socket.close();
    },
    'log.level': async () => {
        await apply({ log: { level: 'debug' } });
        assert.equal((await cesid.get('/system/log-level')).level, 'debug');
        // One that was set by hand holds until the file has another.
        expectOk(await cesid.api('PUT', '/system/log-level', { body: { level: 'error' } }));
        await apply({ log: { level: 'debug' }, refresh: { interval: 0.4 } });
        assert.equal((await cesid.get('/system/log-level')).level, 'error');
        await apply({ log: { level: 'warning' } });
        assert.equal((await cesid.get('/system/log-level')).level, 'warning');
    },
    'log.format': async () => {
        const from = cesid.log.length;
        await apply({ log: { format: 'json' } });
        await until('JSON', () => /^\{"time".*was reloaded/m.test(cesid.log.slice(from)));
    },
    'log.file': async () => {
        const file = join(cesid.directory, 'new.log');
        await apply({ log: { file } });
        await until('the file', () => existsSync(file) &&
            readFileSync(file, 'utf8').includes('was reloaded'));
        // One that cannot be opened is a mistake like any other.
        await assert.rejects(apply({ log: { file: '/nonexistent/log' }, auth: { lockout: 9.0 } }),
            /422 .*log\.file.*cannot be opened/);
        assert.deepEqual((await apply({ log: { file } })).settings, []);
    },
    'metrics.enabled': async () => {
        await apply({ metrics: { enabled: false } });
        assert.equal((await cesid.request('GET', '/metrics', { token: null })).status, 404);
    },
    'metrics.token': async () => {
        const file = join(cesid.directory, 'token');
        writeFileSync(file, 'first-token-of-many\n', { mode: 0o600 });
        await apply({ metrics: { token_file: file } });
        const get = async (token) =>
            (await cesid.request('GET', '/metrics', { token })).status;
        assert.deepEqual([await get(null), await get('first-token-of-many')], [401, 200]);
        // The file of a secret is read anew, though its name is the same.
        writeFileSync(file, 'second-token-of-many\n', { mode: 0o600 });
        assert.deepEqual((await apply({ metrics: { token_file: file } })).settings,
            ['metrics.token']);
        assert.deepEqual([await get('first-token-of-many'), await get('second-token-of-many')],
            [401, 200]);
    },
    'metrics.per_process': async () => {
        await apply({ metrics: { per_process: false } });
        assert.equal((await scrape(cesid)).all('cesid_process_state').length, 0);
    },
    'metrics.max_series': async () => {
        await apply({ metrics: { max_series: 10 } });
        const page = await scrape(cesid);
        assert.equal(page.value('cesid_metrics_truncated'), 1);
        assert.ok(page.all('cesid_process_state').length <= 10);
    },
    // Last, because it is seen at the stop.
    'timeouts.shutdown': async () => {
        await apply({ timeouts: { shutdown: 0.5 } });
        await isUp();
        await fakes.fault('0', 'silent', 'method=supervisor.startProcess');
        await fakes.order('state', '0', '*:p0001', 'STOPPED');
        await operate({ nodes: [first()], processes: ['*:p0001'] });
        await until('it is under way', async () =>
            (await cesid.get('/system')).queues.operations.running === 1);
        between(await cesid.stop(), 0.4, 5 * slow);
    },
};

// Kept by what does not look at it before a day has passed; its own test sets the clock.
const elsewhere = ['activity.retention_days'];

before(async () => {
    fakes = await new Fakes({ nodes, processes }).start();
    cesid = await new Cesid({ nodes: fakes.configs(), config: { refresh: { interval: 0.3 },
        breaker: { failures: 1000 } } }).start();
    await cesid.login();
    for (let i = 0; i < nodes; i++)
        await cesid.nodeIs(fakes.name(i), 'up');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

test('the table has every key that can be reloaded', () => {
    let group;
    const reloadable = [];
    for (const line of readFileSync(join(root, 'conf/cesid.conf'), 'utf8').split('\n')) {
        group = /^([a-z]+):/.exec(line)?.[1] ?? group;
        const [, key] = /^ {4}([a-z_]+) = /.exec(line) ?? [];
        if (key && !['server', 'store'].includes(group))
            reloadable.push(`${group}.${key.replace(/^token_file$/, 'token')}`);
    }
    const known = [...Object.keys(keys), ...elsewhere, 'websocket.clients', 'refresh.threads'];
    assert.deepEqual(known.sort(), reloadable.sort());
});

const only = process.env.CESID_TEST_KEYS?.split(',');
for (const [key, check] of Object.entries(keys).filter(([key]) => !only || only.includes(key)))
    test(`R4.1 ${key} is in force after a reload`, async () => {
        await fakes.fault('*', 'none');
        await apply({});
        if (key !== 'timeouts.shutdown')
            await isUp();
        await check();
    });
