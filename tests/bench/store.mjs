#!/usr/bin/env node
// What the store and the sign-in cost: logins a second, authenticated requests against the same
// without authentication, audit records acknowledged a second, and pages of a long activity record.
// Run by hand on a machine with little else to do:
//
//   make all && node tests/bench/store.mjs [--mariadb] [--seconds=5] [--clients=32] [--rows=1000000]
//
// Prints JSON. Rates are what clients on the same machine saw, so they share its processors; cpu_us
// is cesid's own time for one request, from /proc, and moves little with what else the machine does.
// The pair with and without authentication asks for a node and for a file of the page that do not
// exist: the way through the dispatcher and the answer are the same but for the credentials.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { Cesid } from '../e2e/lib/cesid.mjs';
import { Mariadb } from '../e2e/lib/mariadb.mjs';

const options = Object.fromEntries(process.argv.slice(2).map((word) => word.slice(2).split('=')));
const seconds = Number(options.seconds ?? 5);
const clients = Number(options.clients ?? 32);
const rows = Number(options.rows ?? 1_000_000);
const ticks = Number(execFileSync('getconf', ['CLK_TCK']));

function cpu(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticks;
}

function message(cesid, method, path, body, token) {
    const text = body === undefined ? '' : JSON.stringify(body);
    return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${cesid.port}\r\n` +
        (token ? `Authorization: Bearer ${token}\r\n` : '') +
        (text ? `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n` : '') +
        (method === 'POST' && !text ? 'Content-Length: 0\r\n' : '') + `\r\n${text}`;
}

// One connection that asks again as soon as it is answered, until stop() says so.
function ask(cesid, text, tally, stop) {
    return new Promise((resolve) => {
        let asked, buffer = '', socket;
        const send = () => {
            if (stop())
                return socket.end();
            asked = performance.now();
            return socket.write(text);
        };
        const connect = () => {
            buffer = '';
            socket = net.connect(cesid.port, '127.0.0.1', send).setNoDelay(true);
            // A connection that the server has had enough of is made anew.
            socket.setEncoding('latin1').on('error', () => {});
            socket.on('data', (data) => {
                buffer += data;
                const end = buffer.indexOf('\r\n\r\n');
                if (end < 0)
                    return;
                const length = Number(/\r\nContent-Length: (\d+)/i.exec(buffer)?.[1] ?? 0);
                if (buffer.length < end + 4 + length)
                    return;
                const status = buffer.slice(9, 12);
                tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
                tally.took.push(performance.now() - asked);
                if (/\r\nConnection: close/i.test(buffer))
                    return void socket.end();
                buffer = buffer.slice(end + 4 + length);
                send();
            });
            socket.on('close', () => (stop() ? resolve() : connect()));
        };
        connect();
    });
}

const rounded = (value) => Number(value.toFixed(3));
function quantiles(took) {
    took.sort((a, b) => a - b);
    const at = (share) => rounded(took[Math.min(took.length - 1, Math.floor(took.length * share))]);
    return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

async function load(cesid, text, count = clients) {
    const tally = { statuses: {}, took: [] };
    const { pid } = cesid.child;
    const begin = performance.now();
    const before = cpu(pid);
    await Promise.all(Array.from({ length: count }, () =>
        ask(cesid, text, tally, () => performance.now() - begin > seconds * 1000)));
    const used = cpu(pid) - before;
    const took = (performance.now() - begin) / 1000;
    const done = tally.took.length;
    return { clients: count, per_second: Math.round(done / took), statuses: tally.statuses,
        cpu_us: rounded(used / done * 1e6), ms: quantiles(tally.took) };
}

// Copies of one record, in the order of time, a second apart: numbers first to last.
function fill(cesid, first, last, database) {
    const columns = 'at, level, actor, action, resource, target, environment, result, status, ' +
        'duration, request_id, address, user_agent, details, instance, number, mac, seal';
    const taken = columns.replace('at,', '').replace('actor', database ?
        'concat(\'user-\', n % 50)' : '\'user-\' || (n % 50)');
    const id = database ? 'concat(lower(lpad(hex(n), 12, \'0\')), substr(id, 13))' :
        'printf(\'%012x\', n) || substr(id, 13)';
    const from = `(SELECT * FROM activity WHERE action = 'node.update' LIMIT 1) one`;
    const numbers = database ? `(SELECT seq AS n FROM seq_${first}_to_${last}) numbers` :
        `(WITH RECURSIVE numbers(n) AS (SELECT ${first} UNION ALL ` +
        `SELECT n + 1 FROM numbers WHERE n < ${last}) SELECT n FROM numbers) numbers`;
    const sql = `INSERT INTO activity (id, ${columns}) SELECT ${id}, n * 1000, ${taken} ` +
        `FROM ${from}, ${numbers};`;
    if (database)
        return database(sql);
    const { status, stderr } = spawnSync('sqlite3', [join(cesid.state, 'cesid.db')],
        { input: sql, encoding: 'utf8' });
    if (status !== 0)
        throw new Error(stderr);
    return undefined;
}

async function page(cesid, query, times = 20) {
    const took = [];
    let shown;
    for (let i = 0; i < times; i++) {
        const begin = performance.now();
        shown = await cesid.get(`/activity?${query}`);
        took.push(performance.now() - begin);
    }
    return { items: shown.items.length, total: shown.total, ms: quantiles(took) };
}

let mariadb, store;
if ('mariadb' in options) {
    mariadb = await new Mariadb().create();
    store = await mariadb.store();
}
const cesid = new Cesid({
    config: { ...(store ? { store } : {}), log: { level: 'warning' } },
});
await cesid.start();
await cesid.login();
const result = { backend: store ? 'mariadb' : 'sqlite', seconds };

const { token } = cesid;
const login = message(cesid, 'POST', '/api/v1/auth/login',
    { username: 'admin', password: cesid.adminPassword });
result.logins = await load(cesid, login, 8);
const open = message(cesid, 'GET', '/nothing.txt');
const checked = message(cesid, 'GET', '/api/v1/nodes/nothing', undefined, token);
await load(cesid, checked);
result.without_authentication = await load(cesid, open);
result.with_authentication = await load(cesid, checked);
result.cpu_ratio =
    rounded(result.with_authentication.cpu_us / result.without_authentication.cpu_us);
result.rate_ratio =
    rounded(result.without_authentication.per_second / result.with_authentication.per_second);

await cesid.post('/nodes', { name: 'one', environment: 'test', url: 'http://127.0.0.1:1/RPC2',
    enabled: false });
await cesid.api('PATCH', '/nodes/one', { body: { labels: {} } });
const act = message(cesid, 'PUT', '/api/v1/system/log-level', { level: 'warning' }, token);
result.audit = [];
for (const count of [1, clients])
    result.audit.push(await load(cesid, act, count));

if (rows > 0) {
    await cesid.stop();
    cesid.stopped = false;
    const begin = performance.now();
    for (let first = 1; first <= rows; first += 50000)
        await fill(cesid, first, Math.min(first + 49999, rows),
            store && ((sql) => mariadb.sql(sql, store.database)));
    await cesid.start();
    cesid.token = token;
    result.activity = { rows, filled_in_seconds: rounded((performance.now() - begin) / 1000) };
    const { next } = await cesid.get('/activity?limit=100');
    for (const [name, query] of Object.entries({
        first: 'limit=100', second: `limit=100&cursor=${next}`,
        old: 'limit=100&until=1970-01-05T00:00:00Z', actor: 'limit=100&actor=user-7',
        action: 'limit=100&action=node.update', glob: 'limit=100&actor=*-7',
        nothing: 'limit=100&actor=nobody',
    }))
        result.activity[name] = await page(cesid, query);
}
await cesid.stop();
await mariadb?.stop();
console.log(JSON.stringify(result, null, 2));
