import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesRecord, queryOf, summaryOf } from '../../src/dashboard/lib/activity.js';
import { clock } from '../../src/dashboard/lib/format.js';

const now = Date.parse('2026-01-02T03:04:05.000Z');

test('a part of a name is looked for anywhere, a pattern as it is', () => {
    assert.deepEqual(queryOf({ actor: 'vera', action: 'process.*', target: '', result: 'ok' }, now),
        { actor: '*vera*', action: 'process.*', result: 'ok' });
});

test('a span ends now, and one of the user’s own where it says', () => {
    assert.deepEqual(queryOf({ span: '3600' }, now), { since: '2026-01-02T02:04:05.000Z' });
    const { since, until } = queryOf({ span: 'between', since: '2026-01-01T10:00', until: 'x' },
        now);
    assert.equal(Date.parse(since), new Date('2026-01-01T10:00').getTime());
    assert.equal(until, undefined);
    assert.deepEqual(queryOf({ span: 'nonsense', since: '2026-01-01T10:00' }, now), {});
});

test('a record that comes is matched as the server would', () => {
    const record = { at: '2026-01-02T03:04:05.000Z', actor: 'vera', action: 'process.restart',
        target: 'web-1/web:web_00', result: 'ok' };
    assert.ok(matchesRecord(record, {}));
    assert.ok(matchesRecord(record, { actor: '*ver*', target: 'web-?/*', result: 'ok' }));
    assert.ok(!matchesRecord(record, { actor: 'ver' }));
    assert.ok(!matchesRecord(record, { result: 'failed' }));
    assert.ok(!matchesRecord(record, { since: '2026-01-02T03:04:05.001Z' }));
    assert.ok(!matchesRecord(record, { until: record.at }));
    assert.ok(!matchesRecord({ ...record, target: null }, { target: '*web*' }));
});

test('details in a few words', () => {
    assert.equal(summaryOf({ details: { from: 'RUNNING', to: 'EXITED', exit_status: 1 } }),
        'RUNNING → EXITED');
    assert.equal(summaryOf({ details: { code: 'invalid_credentials' } }), 'invalid_credentials');
    assert.equal(summaryOf({ details: { signal: 'HUP' } }), 'signal HUP');
    assert.equal(summaryOf({ details: {} }), '');
    assert.equal(summaryOf({}), '');
});

test('a time of today is told without the day', () => {
    const noon = new Date(2026, 0, 2, 12, 0, 0).getTime();
    assert.equal(clock(new Date(2026, 0, 2, 9, 5, 7).toISOString(), noon), '09:05:07');
    assert.equal(clock(new Date(2026, 0, 1, 9, 5, 7).toISOString(), noon), '01 Jan 09:05:07');
    assert.equal(clock(null), '');
});
