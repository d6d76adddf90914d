// Health: each part with its status, since when, why, and its figures; and a thread that stands
// still is noticed, named, and makes cesid failed until it moves again.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { expectOk } from './lib/http.mjs';
import { Child } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const freezer = join(dirname(fileURLToPath(import.meta.url)), 'lib/freeze.py');
const patience = 4 * Number(process.env.CESID_TEST_SLOW ?? 1);

let fakes, cesid;
before(async () => {
    fakes = await new Fakes({ nodes: 2 }).start();
    process.env.CESID_STUCK_AFTER = String(patience);
    cesid = await new Cesid({ nodes: fakes.configs(), config: { refresh: { interval: 1 } } })
        .start();
    delete process.env.CESID_STUCK_AFTER;
    await cesid.login();
    await cesid.nodeIs(fakes.name(0), 'up');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

test('R10.4 health has figures for every part', async () => {
    const { status, components } = await cesid.get('/health');
    assert.equal(status, 'ok');
    const figures = {
        store: ['pool', 'in_use', 'waiting', 'latency'],
        refresh: ['lag', 'nodes', 'in_use', 'limit', 'waiting'],
        hub: ['clients', 'limit'],
        operations: ['running'],
        journal: ['queued', 'limit', 'dropped'],
        bus: ['length', 'dropped'],
        nodes: ['total', 'up', 'down', 'connecting', 'disabled'],
        threads: ['total', 'stuck'],
        resources: ['descriptors', 'descriptors_limit', 'memory'],
    };
    for (const [name, wanted] of Object.entries(figures)) {
        const component = components[name];
        assert.equal(component?.status, 'ok', name);
        assert.equal(component.reason, null, name);
        assert.ok(Date.parse(component.since) <= Date.now() + 1000, name);
        for (const figure of wanted)
            assert.equal(typeof component[figure], 'number', `${name}.${figure}`);
    }
    assert.ok(components.resources.memory > 1e6);
    assert.ok(components.resources.descriptors > 5);
    assert.ok(components.threads.total > 10);
});

// For as long as `during` takes.
async function frozen(thread, during) {
    const child = new Child('python3', [freezer, String(cesid.child.pid), thread]);
    try {
        await until(`${thread} stands still`, () => {
            assert.ok(child.running, child.stderr);
            return child.stdout.includes('frozen');
        });
        await during();
    } finally {
        child.kill();
        await child.exited;
    }
}

test('R10.4 a thread that stands still is named, and health is failed until it moves', async () => {
    await frozen('refresh', async () => {
        const answer = await until('health is failed', async () => {
            const got = await cesid.api('GET', '/health');
            assert.equal(got.status, 503);
            return got;
        }, 4 * patience + 10);
        assert.equal(answer.json.status, 'failed');
        const { threads } = answer.json.components;
        assert.equal(threads.status, 'failed');
        assert.match(threads.reason, /thread refresh makes no progress since \d+ s: it .* refresh/);
        assert.equal(threads.stuck, 1);
        // The rest still works, and the log has it, once.
        expectOk(await cesid.api('GET', '/nodes'));
        await until('the log has it', () => /makes no progress.*thread=refresh/.test(cesid.log));
    });
    await until('health is ok again', async () => expectOk(await cesid.api('GET', '/health')), 20);
    assert.equal(cesid.log.match(/a thread makes no progress/g).length, 1);
});

test('R10.4 who judges is watched too', async () => {
    await frozen('health', async () => {
        await until('health is failed', async () => {
            const { json } = await cesid.api('GET', '/health');
            assert.match(json.components.threads.reason ?? '', /health thread makes no progress/);
            return true;
        }, 4 * patience + 10);
    });
    await until('health is ok again', async () => expectOk(await cesid.api('GET', '/health')), 20);
});
