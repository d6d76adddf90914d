import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, bytes, count, dataAge, duration, instant, moment, plural, span } from
    '../../src/dashboard/lib/format.js';

const S = 1000, MIN = 60 * S, H = 60 * MIN, D = 24 * H;

test('spans are coarse and never negative', () => {
    assert.equal(span(-5 * S), '0 s');
    assert.equal(span(59.9 * S), '59 s');
    assert.equal(span(60 * S), '1 min');
    assert.equal(span(59 * MIN + 59 * S), '59 min');
    assert.equal(span(5 * H + 12 * MIN), '5 h 12 min');
    assert.equal(span(5 * H), '5 h');
    assert.equal(span(30 * H + 5 * MIN), '30 h');
    assert.equal(span(12 * D), '12 d');
    assert.equal(ago(400), 'just now');
    assert.equal(ago(12 * S), '12 s ago');
});

test('durations read well from microseconds to minutes', () => {
    assert.equal(duration(0.0042), '4.2 ms');
    assert.equal(duration(0.042), '42 ms');
    assert.equal(duration(0.42), '0.4 s');
    assert.equal(duration(4.2), '4.2 s');
    assert.equal(duration(42), '42 s');
    assert.equal(duration(undefined), '');
    assert.equal(duration(null ?? NaN), '');
});

test('bytes and counts', () => {
    assert.equal(bytes(1), '1 byte');
    assert.equal(bytes(1023), '1,023 bytes');
    assert.equal(bytes(1536), '1.5 KiB');
    assert.equal(bytes(300 * 1024), '300 KiB');
    assert.equal(bytes(3 * 1024 ** 3), '3.0 GiB');
    assert.equal(count(undefined), '0');
    assert.equal(plural(1, 'process', 'processes'), '1 process');
    assert.equal(plural(10000, 'node'), '10,000 nodes');
});

test('missing times are no times', () => {
    assert.ok(Number.isNaN(instant(null)));
    assert.equal(moment(null), '');
    assert.match(moment('2026-11-23T21:30:00.000Z'), /2026/);
});

test('data of a node that is up is as old as the last word from cesid', () => {
    const now = Date.parse('2026-01-01T00:10:00Z');
    const node = { state: 'up', last_refresh: '2026-01-01T00:00:00Z' };
    assert.equal(dataAge(node, now - 2 * S, now), 2 * S);
    assert.equal(dataAge(node, 0, now), 10 * MIN);
});

test('data of a node that is down is as old as its last read', () => {
    const now = Date.parse('2026-01-01T00:10:00Z');
    const node = { state: 'down', last_refresh: '2026-01-01T00:00:00Z' };
    assert.equal(dataAge(node, now, now), 10 * MIN);
    assert.equal(dataAge({ state: 'down', last_refresh: null }, now, now), null);
});
