import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay } from '../../src/dashboard/lib/backoff.js';

test('waits grow from half a second to half a minute and no further', () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 7, 50].map((attempt) => backoffDelay(attempt, () => 1));
    assert.deepEqual(longest, [0.5, 1, 2, 4, 8, 16, 30, 30, 30]);
});

test('each wait lies between its half and its whole', () => {
    for (let attempt = 0; attempt < 12; attempt++) {
        const whole = backoffDelay(attempt, () => 1);
        assert.equal(backoffDelay(attempt, () => 0), whole / 2);
        const delay = backoffDelay(attempt);
        assert.ok(delay >= whole / 2 && delay <= whole);
    }
});
