// A batch over a large fleet of which a part hangs: whoever is well is done first and as ever, the
// hung ones are named, and the end is on time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { slow, until } from './lib/wait.mjs';

const nodes = 200, hung = 10, patience = 5 * slow;

let fakes, cesid;
before(async () => {
    fakes = await new Fakes({ nodes, processes: 4 }).start();
    cesid = await new Cesid({ nodes: fakes.configs(), config: {
        refresh: { interval: 5.0 }, timeouts: { refresh: 30.0 } } }).start();
    await cesid.login();
    await until('the fleet is up', async () =>
        (await cesid.get('/nodes?state=up&limit=1')).total === nodes, 30);
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

async function restartAll() {
    const { id, total } = expectOk(await cesid.post('/operations', {
        action: 'restart', select: { processes: ['p0000'] }, parallelism: 40, timeout: patience,
        batch_timeout: 20 * slow,
    }), 202);
    assert.equal(total, nodes);
    return id;
}

const look = async (id) => await cesid.get(`/operations/${id}`);
const ends = async (id) => await until('the end of the batch', async () => {
    const operation = await look(id);
    return operation.state !== 'running' && operation;
}, 25);

test('R6.1 R6.2 of 200 nodes 10 hang: the others finish first, the hung ones are named', async () => {
    const quiet = await ends(await restartAll());
    assert.deepEqual([quiet.state, quiet.succeeded, quiet.failed], ['done', nodes, 0]);

    await fakes.fault(`0-${hung - 1}`, 'silent');
    const id = await restartAll();
    const early = await until('all that are well are restarted', async () => {
        const operation = await look(id);
        return operation.succeeded === nodes - hung && operation;
    }, 20);
    assert.equal(early.state, 'running', 'nobody waited for those that hang');

    const done = await ends(id);
    assert.deepEqual([done.state, done.succeeded, done.failed], ['done', nodes - hung, hung]);
    const took = (Date.parse(done.finished_at) - Date.parse(done.created_at)) / 1000;
    assert.ok(took < 2 * patience + 5 * slow, `${took} s`);
    const failed = done.results.filter(({ ok }) => !ok);
    assert.deepEqual(failed.map(({ node }) => node).sort(),
        Array.from({ length: hung }, (unused, i) => fakes.name(i)));
    for (const { code, detail } of failed) {
        assert.match(code, /^(node_timeout|node_circuit_open)$/);
        assert.ok(detail);
    }
    await fakes.fault(`0-${hung - 1}`, 'none');
});

// It is looked at once more, for a moment and not for as long as a poll may take.
test('R6.2 an action on a hung node ends soon after its time, and says so in a sentence', async () => {
    await fakes.fault('199', 'silent');
    const { id } = expectOk(await cesid.post('/operations', { action: 'restart', timeout: 3,
        select: { nodes: [fakes.name(199)], processes: ['p0001'] } }), 202);
    const [{ code, detail, duration }] = (await ends(id)).results;
    assert.equal(code, 'node_timeout');
    assert.match(detail, /^The node did not answer in time; the process may have been stopped$/);
    assert.ok(duration > 2.5 && duration < 3 + 8 * slow, `${duration} s`);
});

test('R6.5 a signal to a hung node is a timeout, whichever clock is first',
    async () => {
        await fakes.fault('198', 'silent');
        const path = `/nodes/${fakes.name(198)}/processes`;
        const answers = await Promise.all([0, 1, 2, 3].map((i) =>
            cesid.post(`${path}/p000${i}:p000${i}/signal?force=true`, { signal: 'HUP' })));
        for (const answer of answers)
            expectProblem(answer, 504, 'node_timeout');
    });
