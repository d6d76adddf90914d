import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsText, parseLabels } from '../../src/dashboard/lib/labels.js';
import {
    lookOfOperation, requestOf, settledTargets, sortedResults, titleOf,
} from '../../src/dashboard/lib/operations.js';

test('a request holds what the form was given, and nothing else', () => {
    assert.deepEqual(requestOf({ action: 'stop', signal: 'HUP', nodes: ' web-*, db-1\n db-2 ',
        groups: ' ', states: [], parallelism: '', timeout: '5' }),
    { action: 'stop', select: { nodes: ['web-*', 'db-1', 'db-2'] }, timeout: 5 });
    assert.deepEqual(requestOf({ action: 'signal', signal: 'HUP', states: ['RUNNING'] }),
        { action: 'signal', signal: 'HUP', select: { states: ['RUNNING'] } });
});

test('failures stand first, what has ended well last', () => {
    const kinds = sortedResults([{ ok: true, code: 'ok' }, { ok: null, code: 'waiting' },
        { ok: null, code: 'running' }, { ok: false, code: 'node_fault' }]).map(({ kind }) => kind);
    assert.deepEqual(kinds, ['failed', 'running', 'waiting', 'ok']);
});

test('an operation that is done with failures does not look done', () => {
    assert.equal(lookOfOperation({ state: 'done', total: 3, failed: 0 }).word, 'Done');
    assert.equal(lookOfOperation({ state: 'done', total: 3, failed: 1 }).word, 'Partly failed');
    assert.equal(lookOfOperation({ state: 'done', total: 3, failed: 3 }).word, 'Failed');
    assert.equal(lookOfOperation({ state: 'cancelled', total: 3, failed: 1 }).word, 'Cancelled');
    assert.equal(titleOf({ action: 'signal', signal: 'HUP', total: 1 }), 'Send HUP to 1 process');
});

test('targets that an action would not change are counted', () => {
    const targets = [{ state: 'RUNNING' }, { state: 'STOPPED' }, { state: 'FATAL' }];
    assert.equal(settledTargets({ action: 'start', targets }), 1);
    assert.equal(settledTargets({ action: 'stop', targets }), 2);
    assert.equal(settledTargets({ action: 'signal', targets }), 0);
});

test('labels are written one a line, values as they are', () => {
    const labels = { role: 'web', zone: 'a,b=c', empty: '' };
    assert.deepEqual(parseLabels(labelsText(labels)), labels);
    assert.deepEqual(parseLabels(' \n'), {});
    assert.equal(parseLabels('role'), null);
    assert.equal(parseLabels('=x'), null);
});
