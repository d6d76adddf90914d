// How many connections at once, and who gets them when there are too few.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk } from './lib/http.mjs';
import { slow, until } from './lib/wait.mjs';

const polls = 'supervisor.getAllProcessInfo';
const nodes = 200;
const hung = 60;
const connections = 24;
const interval = 1.0;
const pause = 2.0; // for so long a busy machine may stand still; who waits for the hung waits longer
const well = `${hung}-${nodes - 1}`;

let fakes, cesid;
before(async () => {
    fakes = await new Fakes({ nodes, processes: 5 }).start();
    cesid = new Cesid({
        nodes: fakes.configs(),
        config: {
            refresh: { interval, connections },
            timeouts: { connect: 1.0, refresh: 2.0, start: 5.0 },
            breaker: { failures: 3, open_min: 2.0, open_max: 5.0 },
        },
    });
    await cesid.start();
    await cesid.login();
    await until('all nodes are up', async () =>
        (await cesid.get('/nodes?state=up&limit=1')).total === nodes, 20);
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

// The healthy nodes' polls until each had so many on the average: times between two polls.
async function observe(count) {
    await fakes.order('reset');
    await until(`${count} polls a node`, async () =>
        ((await fakes.order('stats', well)).calls[polls] ?? 0) >= count * (nodes - hung),
    count * interval * 4);
    const each = (await fakes.order('each', well)).map((node) => node.polls);
    return { least: Math.min(...each), ...await fakes.order('lag', well) };
}

test('R2.4 R8.4 refresh has no more connections at once than it may, from the start on', async () => {
    const stats = await fakes.order('stats');
    assert.ok(stats.max_in_flight <= connections, JSON.stringify(stats));
    assert.ok(stats.max_in_flight > 1);
});

test('R2.4 R6.2 R8.4 a third of the fleet hangs from one moment to the next: the rest is polled as ever',
    async () => {
        const quiet = await observe(4);
        await fakes.fault(`0-${hung - 1}`, 'silent');
        const begin = performance.now();
        const during = await observe(6);
        const told = `quiet ${JSON.stringify(quiet)}, then ${JSON.stringify(during)}`;
        assert.ok(during.least >= 4, told);
        assert.ok(during.p50 < Math.max(quiet.p50, interval * 1.1) * (1 + 0.25 * slow), told);
        assert.ok(during.max < interval * 2 * slow + pause, told);
        const { max_in_flight: most } = await fakes.order('stats');
        assert.ok(most <= connections, `${most} in flight`);
        // last_refresh says so too, and an operator's start is as quick as ever.
        const node = await cesid.node(fakes.name(nodes - 1));
        assert.ok(Date.now() - Date.parse(node.last_refresh) < (interval * 2 * slow + pause) * 1000);
        await fakes.order('state', String(nodes - 1), '*', 'STOPPED');
        const before = performance.now();
        expectOk(await cesid.post(`/nodes/${node.name}/processes/p0000/start`));
        assert.ok(performance.now() - before < 500 * slow + pause * 1000);
        // Those that hang are found out, in their own time.
        await until('all of them are down', async () =>
            (await cesid.get('/nodes?state=down&limit=1')).total === hung, 60);
        assert.equal((await cesid.get('/nodes?state=up&limit=1')).total, nodes - hung);
        assert.ok(performance.now() - begin < 60000 * slow);
    });

test('R2.4 with that part hung for good, the rest is polled as ever', async () => {
    const during = await observe(4);
    assert.ok(during.max < interval * 2 * slow + pause, JSON.stringify(during));
    assert.ok((await fakes.order('stats')).max_in_flight <= connections);
    await fakes.fault(`0-${hung - 1}`, 'none');
    await until('all nodes are up', async () =>
        (await cesid.get('/nodes?state=up&limit=1')).total === nodes, 30);
});
