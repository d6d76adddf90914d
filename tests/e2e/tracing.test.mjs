// One request's way through the log: by its id, and by the trace that it belongs to, from the HTTP
// request over the operation and the calls to the node to the store.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { until } from './lib/wait.mjs';

let fakes, cesid;
before(async () => {
    fakes = await new Fakes({ nodes: 1 }).start();
    cesid = await new Cesid({ nodes: fakes.configs(),
        config: { log: { format: 'json', level: 'debug' } } }).start();
    await cesid.login();
    await cesid.nodeIs(fakes.name(0), 'up');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';

function lines(id) {
    return cesid.log.split('\n').filter((line) => line.endsWith('}')).map((line) =>
        JSON.parse(line)).filter((line) => line.request_id === id);
}

async function ask(id, method, path, { body, headers = {} } = {}) {
    return await cesid.api(method, path, { body, headers: { 'X-Request-ID': id,
        traceparent: `00-${trace}-00f067aa0ba902b7-01`, ...headers } });
}

test('R10.2 an action carries its request through operation, calls, store and log', async () => {
    const [process] = (await cesid.get(`/nodes/${fakes.name(0)}/processes`)).items;
    expectOk(await ask('way-of-an-action', 'POST',
        `/nodes/${fakes.name(0)}/processes/${encodeURIComponent(process.id)}/restart`));
    const told = await until('all of it is told', () => {
        const found = lines('way-of-an-action');
        const said = found.map((line) => `${line.subsystem}: ${line.message}`);
        for (const wanted of ['operation: operation started', 'operation: operation ended',
            'rpc: a call ended', 'http: request'])
            assert.ok(said.includes(wanted), `${wanted} of ${said}`);
        return found;
    });
    for (const line of told)
        assert.equal(line.trace_id, trace, JSON.stringify(line));
    assert.ok(told.filter((line) => line.subsystem === 'rpc').length >= 2, 'a stop and a start');
});

test('R10.2 what a store statement, a log and a diagnosis do is told with the request', async () => {
    const user = { username: 'admin', password: cesid.adminPassword };
    expectOk(await ask('way-to-the-store', 'POST', '/auth/login', { body: user }));
    await until('the store is told', () =>
        assert.ok(lines('way-to-the-store').some((line) => line.subsystem === 'store' &&
            line.statement && line.result === 'ok')) ?? true);
    for (const [id, method, path] of [['way-to-a-check', 'POST', 'check'],
        ['way-to-a-log', 'GET', 'supervisor/log']]) {
        await ask(id, method, `/nodes/${fakes.name(0)}/${path}`);
        await until(`${path} is told`, () =>
            assert.ok(lines(id).some((line) => line.subsystem === 'rpc' &&
                line.node === fakes.name(0))) ?? true);
    }
});

test('R7.4 R10.2 a failure on the way is told with the request', async () => {
    const [process] = (await cesid.get(`/nodes/${fakes.name(0)}/processes`)).items;
    await fakes.fault('0', 'rpc', '90', 'method=supervisor.stopProcess');
    const answer = await ask('way-to-failure', 'POST',
        `/nodes/${fakes.name(0)}/processes/${encodeURIComponent(process.id)}/stop`);
    await fakes.fault('0', 'none');
    expectProblem(answer, answer.status, answer.json.code);
    await until('the failure is told', () =>
        assert.ok(lines('way-to-failure').some((line) => line.message === 'action failed' &&
            line.trace_id === trace && line.process === process.id)) ?? true);
});

test('R10.2 what is no trace context is ignored', async () => {
    const parent = '00f067aa0ba902b7';
    const cases = [
        [`00-${trace}-${parent}-01`, trace], [`01-${trace}-${parent}-00-more`, trace],
        [`00-${trace}-${parent}-01-more`], [`ff-${trace}-${parent}-01`],
        [`00-${'0'.repeat(32)}-${parent}-01`], [`00-${trace}-${'0'.repeat(16)}-01`],
        [`00-${trace.toUpperCase()}-${parent}-01`], [`00-${trace}-${parent}`], ['nonsense'],
        [`00_${trace}-${parent}-01`], [`${'x'.repeat(5000)}`],
    ];
    for (const [i, [header, wanted]] of cases.entries()) {
        await ask(`trace-${i}`, 'GET', '/nodes', { headers: { traceparent: header } });
        const told = await until('the request is told', () =>
            lines(`trace-${i}`).find((line) => line.subsystem === 'http'));
        assert.equal(told.trace_id, wanted, header);
    }
});
