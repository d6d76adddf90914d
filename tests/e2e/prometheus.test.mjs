// A real Prometheus reads cesid with the samples of conf/, and what alerts and dashboard ask for is
// there: every query is one that it understands, of families and labels that cesid has.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, copyFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { request } from './lib/http.mjs';
import { promtool, scrape } from './lib/metrics.mjs';
import { Child, freePort, makeDirectory } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const conf = join(resolve(dirname(fileURLToPath(import.meta.url)), '../..'), 'conf');
const dashboard = JSON.parse(readFileSync(join(conf, 'grafana-dashboard.json'), 'utf8'));
const alerts = readFileSync(join(conf, 'prometheus-alerts.yml'), 'utf8');
const token = 'f'.repeat(40);

let fakes, cesid, prometheus, url;
before(async () => {
    fakes = await new Fakes({ nodes: 3, processes: 4 }).start();
    const directory = makeDirectory();
    const secret = join(directory, 'token');
    writeFileSync(secret, `${token}\n`, { mode: 0o600 });
    cesid = new Cesid({ nodes: fakes.configs(), config: { refresh: { interval: 0.5 },
        metrics: { token_file: secret }, breaker: { failures: 1, open_min: 1.0, open_max: 1.0 } } });
    await cesid.start();
    await cesid.login();
    for (let i = 0; i < 3; i++)
        await cesid.nodeIs(fakes.name(i), 'up');

    // The sample, with this machine's places in it and less patience.
    const sample = readFileSync(join(conf, 'prometheus.yml'), 'utf8');
    const settled = sample.replace('127.0.0.1:9080', `127.0.0.1:${cesid.port}`)
        .replace(/scrape_interval: \w+/, 'scrape_interval: 1s')
        .replace('    metrics_path:', `    authorization:\n      credentials_file: ${secret}\n` +
            '    metrics_path:');
    assert.notEqual(settled, sample);
    const file = join(directory, 'prometheus.yml');
    writeFileSync(file, `global:\n  evaluation_interval: 1s\n${settled}`);
    copyFileSync(join(conf, 'prometheus-alerts.yml'), join(directory, 'prometheus-alerts.yml'));
    await promtool(['check', 'config', file]);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    prometheus = new Child('prometheus', [`--config.file=${file}`,
        `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=warn']);
    await until('Prometheus is ready', async () =>
        (await request(url, 'GET', '/-/ready')).status === 200, 30);
});
after(async () => {
    prometheus?.kill();
    await cesid?.stop();
    await fakes?.stop();
});

async function ask(query) {
    const answer = await request(url, 'GET', `/api/v1/query?query=${encodeURIComponent(query)}`);
    assert.equal(answer.json.status, 'success', `${query}: ${answer.text}`);
    return answer.json.data.result;
}

test('it scrapes cesid with a token, and has every family that the page has', async () => {
    await until('it is scraped', async () =>
        (await ask('up{job="cesid"}'))[0]?.value[1] === '1', 20);
    const page = await scrape(cesid, { Authorization: `Bearer ${token}` });
    const names = new Set((await request(url, 'GET', '/api/v1/label/__name__/values')).json.data);
    for (const { name, type, samples } of page.families.values())
        if (samples.length > 0)
            assert.ok(names.has(type === 'histogram' ? `${name}_count` : name), name);
    assert.equal(Number((await ask('sum(cesid_nodes{state="up"})'))[0].value[1]), 3);
    const { json } = await request(url, 'GET', '/api/v1/targets');
    assert.deepEqual(json.data.activeTargets.map((target) => target.lastError), ['']);
});

// Grafana's own variables filled in.
const filled = (query) => query.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');

const queries = dashboard.panels.flatMap((panel) => (panel.targets ?? []).map((target) =>
    ({ title: panel.title, query: target.expr, legend: target.legendFormat })));

test('every query of the dashboard is understood, and names what cesid has', async () => {
    const page = await scrape(cesid, { Authorization: `Bearer ${token}` });
    assert.ok(queries.length > 30);
    const used = new Set();
    for (const { title, query, legend } of queries) {
        await ask(filled(query));
        for (const name of query.match(/\bcesid_\w+/g)) {
            const family = page.families.get(name) ??
                page.families.get(name.replace(/_(bucket|sum|count)$/, ''));
            assert.ok(family, `${title}: ${name}`);
            used.add(family.name);
            // What the legend shows is a label that the query leaves.
            for (const [, label] of legend.matchAll(/{{(\w+)}}/g))
                assert.ok(label === 'instance' || family.samples.length === 0 ||
                    family.samples.some((sample) => label in sample.labels), `${title}: ${label}`);
        }
    }
    const unseen = [...page.families.keys()].filter((name) => !used.has(name));
    assert.deepEqual(unseen.sort(), ['cesid_process_state']);
});

test('panels have a name, a place of their own and a source', () => {
    const taken = new Set();
    const ids = new Set();
    for (const { id, title, gridPos: { x, y, w, h }, type, datasource } of dashboard.panels) {
        assert.ok(title && !ids.has(id), title);
        ids.add(id);
        assert.ok(x + w <= 24, title);
        assert.ok(type === 'row' || datasource.uid === '${datasource}', title);
        for (let i = x; i < x + w; i++)
            for (let j = y; j < y + h; j++) {
                assert.ok(!taken.has(`${i} ${j}`), `${title} lies on another`);
                taken.add(`${i} ${j}`);
            }
    }
});

test('the queries that show something do when something happens', async () => {
    await fakes.order('state', '0', 'p0000:p0000', 'FATAL');
    await fakes.fault('1', 'refuse');
    await cesid.nodeIs(fakes.name(1), 'down');
    await cesid.post(`/nodes/${fakes.name(2)}/processes/p0001:p0001/restart`);
    for (const title of ['Nodes down', 'Processes FATAL', 'Nodes that are down', 'Breakers',
        'Polls a second', 'How long a poll takes', 'Requests a second', 'How long a request takes',
        'Threads', 'Memory', 'Statements a second']) {
        const found = queries.filter((each) => each.title === title);
        assert.ok(found.length > 0, title);
        await until(`${title} shows something`, async () =>
            (await ask(filled(found[0].query))).some((each) => Number(each.value[1]) > 0 ||
                title === 'Nodes that are down'), 20);
    }
});

test('the alerts are loaded, and those that wait for what happens begin to', async () => {
    const rules = async () => (await request(url, 'GET', '/api/v1/rules')).json.data.groups
        .flatMap((group) => group.rules);
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    assert.deepEqual((await rules()).map((rule) => rule.name).sort(), names.sort());
    await until('pending alerts', async () => {
        const states = Object.fromEntries((await rules()).map((rule) => [rule.name, rule.state]));
        return states.SupervisorNodeDown === 'pending' && states.ProcessFatal === 'pending';
    }, 20);
    for (const rule of await rules())
        assert.equal(rule.health, 'ok', `${rule.name}: ${rule.lastError}`);
});
