// What a client makes of a snapshot and the events after it is what REST says, whatever happened.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleet } from '../../src/dashboard/lib/fleet.js';
import { keyOf, ProcessSet } from '../../src/dashboard/lib/processset.js';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { slow, until } from './lib/wait.mjs';

let fakes, cesid, socket;
before(async () => {
    fakes = await new Fakes({ nodes: 5, processes: 4 }).start();
    cesid = new Cesid({ nodes: fakes.configs(), config: {
        refresh: { interval: 0.2 }, timeouts: { connect: 0.3 * slow, refresh: 0.3 * slow, log: 0.5 * slow },
        breaker: { failures: 3, open_min: 0.2, open_max: 0.5 },
    } });
    await cesid.start();
    await cesid.login();
    for (let i = 0; i < fakes.nodes; i++)
        await cesid.nodeIs(fakes.name(i), 'up');
    socket = await cesid.socket();
    await socket.subscribe('fleet');
    await socket.next('a snapshot', ({ type }) => type === 'snapshot');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

// As the dashboard does it.
let processes;
function model() {
    const fleet = new Fleet(), set = new ProcessSet();
    set.load(processes);
    for (const { type, data } of socket.messages) {
        if (type === 'snapshot')
            fleet.replace(data.nodes);
        else if (type === 'node')
            fleet.put(data);
        else if (type === 'node_removed') {
            fleet.remove(data.name);
            set.removeNode(data.name);
        } else if (type === 'process') {
            fleet.move(data);
            set.apply(data);
        }
    }
    return { nodes: [...fleet.nodes.values()], processes: [...set.items.values()] };
}

// Without what every poll changes, and what a change of a process alone leaves as it was.
const lasting = ({ last_refresh: at, latency, revision, ...rest }) =>
    ({ ...rest, read: Boolean(at && latency) });
const stable = ({ previous, ...rest }) => rest;
const byName = (a, b) => (a.name < b.name ? -1 : 1);
const byKey = (a, b) => (keyOf(a) < keyOf(b) ? -1 : 1);

async function agrees() {
    await until('the model is what REST says', async () => {
        const nodes = (await cesid.get('/nodes?limit=1000')).items;
        const seen = (await cesid.get('/processes?limit=1000')).items;
        const mine = model();
        assert.deepEqual(mine.nodes.map(lasting).sort(byName), nodes.map(lasting).sort(byName));
        assert.deepEqual(mine.processes.map(stable).sort(byKey), seen.sort(byKey));
        return true;
    });
}

test('at rest', async () => {
    processes = (await cesid.get('/processes?limit=1000')).items;
    await agrees();
});

test('while a node is away, and after it came back: its breaker, too', async () => {
    const from = socket.mark;
    await fakes.fault('1', 'silent');
    await socket.next('an open breaker', ({ type, data }) => type === 'node' &&
        data.name === fakes.name(1) && data.state === 'down' && data.breaker.state === 'open' &&
        data.breaker.retry_at, { from });
    const first = socket.messages.slice(from).find(({ type, data }) => type === 'node' &&
        data.name === fakes.name(1) && data.state === 'down');
    assert.equal(first.data.breaker.failures, 1, 'the failure that made it so is counted');
    await fakes.fault('1', 'none');
    await cesid.nodeIs(fakes.name(1), 'up');
    await agrees();
});

test('when a call fails that is no poll, and the next poll is good', async () => {
    await fakes.fault('4', 'silent', 'method=*Log');
    const from = socket.mark;
    expectProblem(await cesid.api('GET',
        `/nodes/${fakes.name(4)}/processes/p0000:p0000/log`), 504, 'node_timeout');
    await socket.next('the failure', ({ type, data }) => type === 'node' &&
        data.name === fakes.name(4) && data.breaker.failures === 1, { from });
    await fakes.fault('4', 'none');
    await agrees();
});

test('when a node moves to another environment its processes do, too', async () => {
    expectOk(await cesid.post('/nodes', { name: 'mover', environment: 'here',
        url: 'http://127.0.0.1:1/RPC2', enabled: false }), 201);
    await agrees();
    for (const environment of ['there', 'test']) {
        cesid.nodes[2].environment = environment;
        cesid.configure();
        expectOk(await cesid.post('/system/reload'));
        assert.equal((await cesid.get(`/nodes/${fakes.name(2)}`)).environment, environment);
        await agrees();
    }
    expectOk(await cesid.api('PATCH', '/nodes/mover', { body: { environment: 'there' } }));
    await agrees();
    expectOk(await cesid.api('DELETE', '/nodes/mover'), 204);
    await agrees();
});

test('when a node is disabled, enabled, removed and there again', async () => {
    const change = async (work) => {
        work();
        cesid.configure();
        expectOk(await cesid.post('/system/reload'));
        await agrees();
    };
    const last = cesid.nodes[3];
    await fakes.fault('3', 'silent');
    await until('its breaker is open', async () =>
        (await cesid.node(last.name)).breaker.state !== 'closed');
    await change(() => { last.enabled = false; });
    await fakes.fault('3', 'none');
    await change(() => { last.enabled = true; });
    await cesid.nodeIs(last.name, 'up');
    await change(() => { cesid.nodes.splice(3, 1); });
    await change(() => { cesid.nodes.splice(3, 0, last); });
    await cesid.nodeIs(last.name, 'up');
    await agrees();
});

test('when processes and groups come, change and go', async () => {
    await fakes.order('restart', '4');
    await fakes.order('state', '0', '*', 'FATAL');
    await fakes.order('group', '3', 'p0001', 'gone');
    await until('it is noticed', async () =>
        (await cesid.get(`/nodes/${fakes.name(3)}`)).counts.total === 3 &&
        (await cesid.get(`/nodes/${fakes.name(0)}`)).counts.fatal === 4);
    await agrees();
    await fakes.order('group', '3', 'p0001', 'active');
    await until('it is back', async () =>
        (await cesid.get(`/nodes/${fakes.name(3)}`)).counts.total === 4);
    await agrees();
});
