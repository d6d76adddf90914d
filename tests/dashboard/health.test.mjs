import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure, figuresOf, sortedComponents } from '../../src/dashboard/lib/health.js';
import { allowsEverywhere } from '../../src/dashboard/lib/permissions.js';

test('what failed stands before what is degraded, and both before what is well', () => {
    const names = sortedComponents({ store: { status: 'ok' }, hub: { status: 'degraded' },
        bus: { status: 'ok' }, threads: { status: 'failed' } }).map(([name]) => name);
    assert.deepEqual(names, ['threads', 'hub', 'store', 'bus']);
});

test('figures have their units', () => {
    assert.equal(figure('latency', 0.000076), '0.1 ms');
    assert.equal(figure('lag', 0), '0 s');
    assert.equal(figure('memory', 31469568), '30 MiB');
    assert.equal(figure('spill_limit', 67108864), '64 MiB');
    assert.equal(figure('limit', 53248), '53,248');
    assert.deepEqual(figuresOf({ status: 'ok', since: '…', reason: null, in_use: 3 }),
        [['in use', '3']]);
});

test('rights over cesid itself need a binding to everything', () => {
    const bindings = [{ environment: 'prod*', permissions: ['system:admin'] }];
    assert.ok(!allowsEverywhere(bindings, 'system:admin'));
    bindings.push({ environment: '*', permissions: ['system:admin'] });
    assert.ok(allowsEverywhere(bindings, 'system:admin'));
    assert.ok(!allowsEverywhere(bindings, 'user:admin'));
});
