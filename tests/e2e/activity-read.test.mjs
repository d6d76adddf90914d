// Reading the record of activity: filters, pages while rows arrive, export, statistics, and who sees
// what of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { userWith } from './lib/users.mjs';
import { until } from './lib/wait.mjs';

const formula = '=cmd|\' /C calc\'!A0';
const total = 620; // more than a page of the export

let fakes, cesid, noted = 0;
const act = async (headers = {}) => expectOk(await cesid.api('PUT', '/system/log-level', {
    body: { level: 'info' },
    headers: { 'X-Request-ID': `r-${String(noted++).padStart(5, '0')}`, ...headers },
}));

before(async () => {
    fakes = await new Fakes({ nodes: 2, processes: 2 }).start();
    const [one, two] = fakes.configs();
    cesid = await new Cesid({ nodes: [{ ...one, environment: 'production' },
        { ...two, environment: 'staging' }] }).start();
    await cesid.login();
    await Promise.all([cesid.nodeIs(one.name, 'up'), cesid.nodeIs(two.name, 'up')]);
    await Promise.all(Array.from({ length: 10 }, async () => {
        while (noted < total)
            await act();
    }));
    await act({ 'User-Agent': formula });
    for (const name of [one.name, two.name])
        expectOk(await cesid.post(`/nodes/${name}/reread`));
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

const get = (query = {}, options) =>
    cesid.api('GET', `/activity?${new URLSearchParams(query)}`, options);
const levels = { action: 'system.log_level' };

test('pages follow each other while rows arrive: none twice, none left out', async () => {
    const before = noted, seen = [];
    let cursor = null;
    do {
        const page = expectOk(await get({ ...levels, limit: 50, ...(cursor ? { cursor } : {}) }));
        assert.ok(page.items.length <= 50 && page.items.length > 0);
        seen.push(...page.items);
        cursor = page.next;
        await act();
    } while (cursor);
    assert.equal(seen.length, before);
    assert.equal(new Set(seen.map(({ id }) => id)).size, before);
    for (let i = 1; i < seen.length; i++) {
        assert.ok(seen[i - 1].id > seen[i].id);
        assert.ok(seen[i - 1].at >= seen[i].at);
    }
});

test('filters narrow, alone and together', async () => {
    const count = async (query) => expectOk(await get(query)).total;
    const all = await count({});
    assert.equal(await count(levels), noted);
    assert.equal(await count({ action: 'supervisor.*' }), 2);
    assert.equal(await count({ action: 'supervisor.reread', target: fakes.name(0) }), 1);
    assert.equal(await count({ target: 'n0000?', action: 'supervisor.reread' }), 2);
    assert.equal(await count({ actor: 'adm*', action: 'supervisor.reread', result: 'ok' }), 2);
    assert.equal(await count({ actor: 'nobody' }), 0);
    assert.equal(await count({ ...levels, result: 'failed' }), 0);
    const { items: [newest] } = expectOk(await get({ ...levels, limit: 1 }));
    // From its millisecond on, and before it, are all there are.
    const since = await count({ ...levels, since: newest.at });
    const until = await count({ ...levels, until: newest.at });
    assert.ok(since >= 1);
    assert.equal(since + until, noted);
    assert.equal(await count({ since: '2000-01-01', until: '2000-01-02' }), 0);
    for (const long_ago of ['1970-01-01', '1970-01-01T00:00:00Z', '1850-07-01'])
        assert.equal(await count({ until: long_ago }), 0, long_ago);
    assert.equal(await count({ since: '2000-01-01' }), all);
    for (const text of ['\' OR 1=1 --', '%', '_', '"; DROP TABLE activity; --', '\\'])
        assert.equal(await count({ actor: text }), 0, text);
});

test('R9.1 what is no filter is refused, with the field', async () => {
    for (const [field, value] of [['result', 'good'], ['since', 'yesterday'], ['until', '2026-02-30'],
        ['limit', '0'], ['limit', '1001'], ['cursor', 'garbage'], ['color', 'red']]) {
        const problem = expectProblem(await get({ [field]: value }), 422, 'validation_failed');
        assert.deepEqual(problem.errors.map((error) => error.field), [field], value);
    }
    expectProblem(await cesid.api('GET', '/activity/export?format=xls'), 422, 'validation_failed');
    expectProblem(await cesid.api('GET', '/activity/stats?actor=vera'), 422, 'validation_failed');
});

// RFC 4180, as a spreadsheet reads it.
function parseCsv(text) {
    const rows = [];
    const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
    for (let row = [], found; cell.lastIndex < text.length;) {
        const at = cell.lastIndex;
        found = cell.exec(text);
        assert.ok(found, text.slice(at, at + 100));
        row.push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
        if (found[3] !== ',') {
            rows.push(row);
            row = [];
        }
    }
    return rows;
}

test('R9.5 the export is all of it, as CSV without formulas and as JSON lines', async () => {
    const csv = await cesid.api('GET', `/activity/export?format=csv&action=${levels.action}`);
    expectOk(csv);
    assert.match(csv.headers['content-type'], /^text\/csv/);
    assert.match(csv.headers['content-disposition'], /^attachment; filename="[^"]+\.csv"$/);
    assert.equal(csv.headers['transfer-encoding'], 'chunked');
    const [head, ...rows] = parseCsv(csv.text);
    const jsonl = await cesid.api('GET', `/activity/export?format=jsonl&action=${levels.action}`);
    expectOk(jsonl);
    assert.match(jsonl.headers['content-disposition'], /\.jsonl"$/);
    const records = jsonl.text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.equal(records.length, noted);
    assert.equal(rows.length, noted);
    assert.deepEqual(head, Object.keys(records[0]));
    const column = (name) => head.indexOf(name);
    for (const [i, row] of rows.entries()) {
        assert.equal(row.length, head.length);
        assert.equal(row[column('id')], records[i].id);
        assert.equal(row[column('request_id')], records[i].request_id);
        for (const [j, cell] of row.entries())
            assert.ok(!/^[=+@\t\r]/.test(cell), `${head[j]}: ${cell}`);
    }
    const evil = rows.find((row) => row[column('user_agent')].includes('cmd|'));
    assert.equal(evil[column('user_agent')], `'${formula}`);
    assert.equal(records.filter((record) => record.user_agent === formula).length, 1);
    // Newest first, as the list is.
    assert.deepEqual(records.slice(0, 100).map(({ id }) => id),
        expectOk(await get(levels)).items.map(({ id }) => id));
});

test('statistics add up', async () => {
    const stats = expectOk(await cesid.api('GET', '/activity/stats'));
    const sum = (object) => Object.values(object).reduce((all, count) => all + count, 0);
    assert.equal(stats.by_action[levels.action], noted);
    assert.equal(stats.by_action['supervisor.reread'], 2);
    assert.equal(sum(stats.by_action), stats.total);
    assert.equal(sum(stats.by_result), stats.total);
    assert.ok(stats.by_actor.admin >= noted);
    assert.ok(stats.by_environment.staging >= 1);
    assert.equal(expectOk(await cesid.api('GET', '/activity/stats?until=2001-01-01')).total, 0);
});

test('who covers one environment sees what happened there, and nothing else', async () => {
    const vera = { token: await userWith(cesid, 'vera', 'operator', 'prod*') };
    const { items } = expectOk(await get({ limit: 1000 }, vera));
    assert.ok(items.length > 0);
    for (const { environment } of items)
        assert.equal(environment, 'production');
    assert.ok(items.some(({ action, target }) =>
        action === 'supervisor.reread' && target === fakes.name(0)));
    assert.equal(expectOk(await get({ target: fakes.name(1) }, vera)).total, 0);
    assert.equal(expectOk(await get(levels, vera)).total, 0);
    const { text } = await cesid.api('GET', '/activity/export?format=jsonl', vera);
    for (const line of text.trimEnd().split('\n'))
        assert.equal(JSON.parse(line).environment, 'production');
    const stats = expectOk(await cesid.api('GET', '/activity/stats', vera));
    assert.deepEqual(Object.keys(stats.by_environment), ['production']);
    const viewer = { token: await userWith(cesid, 'victor', 'viewer', '*') };
    for (const path of ['/activity', '/activity/export', '/activity/stats'])
        expectProblem(await cesid.api('GET', path, viewer), 403, 'forbidden');
    expectProblem(await cesid.api('GET', '/activity', { token: null }), 401, 'unauthenticated');
});

test('the WebSocket tells of each record, to those who may read it', async () => {
    const token = await userWith(cesid, 'wanda', 'operator', 'production');
    const admin = await cesid.socket(), wanda = await cesid.socket({ token });
    const victor = await cesid.socket({ token: await userWith(cesid, 'viktor', 'viewer', '*') });
    for (const socket of [admin, wanda, victor])
        await socket.subscribe('activity');
    const refused = await victor.next('an error', (m) => m.type === 'error');
    assert.equal(refused.data.code, 'forbidden');
    await until('the topic is heard', async () => {
        await act();
        return admin.messages.some((m) => m.type === 'activity');
    });
    const ask = (name, id) => cesid.api('POST', `/nodes/${name}/reread`,
        { headers: { 'X-Request-ID': id } });
    expectOk(await ask(fakes.name(1), 'elsewhere'));
    expectOk(await ask(fakes.name(0), 'here'));
    const is = (id) => (m) => m.type === 'activity' && m.data.request_id === id;
    const here = await wanda.next('what happened here', is('here'));
    await admin.next('what happened elsewhere', is('elsewhere'));
    await admin.next('what happened here', is('here'));
    assert.deepEqual(here.data, expectOk(await get({ action: 'supervisor.reread', limit: 1 })).items[0]);
    for (const { type, data } of wanda.messages.filter((m) => m.type === 'activity'))
        assert.equal(data.environment, 'production', type);
    assert.equal(victor.messages.filter((m) => m.type === 'activity').length, 0);
    for (const socket of [admin, wanda, victor])
        await socket.close();
});
