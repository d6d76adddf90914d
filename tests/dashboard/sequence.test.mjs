import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sequence } from '../../src/dashboard/lib/sequence.js';

const verdicts = (...numbers) => {
    const sequence = new Sequence();
    return numbers.map((number) => sequence.next(number));
};

test('consecutive numbers are fine, whatever the first is', () => {
    assert.deepEqual(verdicts(1, 2, 3), ['ok', 'ok', 'ok']);
    assert.deepEqual(verdicts(0, 1, 2), ['ok', 'ok', 'ok']);
    assert.deepEqual(verdicts(41, 42), ['ok', 'ok']);
});

test('a missing number is a gap, told once', () => {
    assert.deepEqual(verdicts(1, 3, 4), ['ok', 'gap', 'ok']);
});

test('a number seen before is a repeat and moves nothing', () => {
    assert.deepEqual(verdicts(1, 2, 2, 1, 3), ['ok', 'ok', 'repeat', 'repeat', 'ok']);
});

test('a message without a usable number is a gap', () => {
    assert.deepEqual(verdicts(undefined), ['gap']);
    assert.deepEqual(verdicts(1, '2', NaN, 2), ['ok', 'gap', 'gap', 'ok']);
});

test('a new connection starts anew', () => {
    const sequence = new Sequence();
    sequence.next(7);
    sequence.reset();
    assert.equal(sequence.next(1), 'ok');
});
