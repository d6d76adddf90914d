import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fleet, matchesNode } from '../../src/dashboard/lib/fleet.js';
import { ProcessSet } from '../../src/dashboard/lib/processset.js';
import { compareProcesses, isFailing } from '../../src/dashboard/lib/states.js';

const counts = (some = {}) => ({ total: 0, running: 0, starting: 0, backoff: 0, stopping: 0,
    stopped: 0, exited: 0, fatal: 0, unknown: 0, ...some });
const node = (name, some = {}) => ({ name, environment: 'production', state: 'up', cause: null,
    labels: {}, counts: counts({ total: 2, running: 2 }), revision: 1, ...some });
const process = (id, state, revision, some = {}) =>
    ({ node: 'a', id, state, revision, exit_status: 0, ...some });

test('totals follow nodes as they come, change and go', () => {
    const fleet = new Fleet();
    fleet.replace([node('a'), node('b', { state: 'down' })]);
    assert.deepEqual(fleet.totals.nodes, { up: 1, down: 1, connecting: 0, disabled: 0 });
    assert.equal(fleet.totals.processes.running, 4);
    fleet.put(node('b', { revision: 2, counts: counts({ total: 2, running: 1, fatal: 1 }) }));
    assert.deepEqual(fleet.totals.nodes, { up: 2, down: 0, connecting: 0, disabled: 0 });
    assert.equal(fleet.totals.processes.running, 3);
    assert.equal(fleet.totals.processes.fatal, 1);
    fleet.remove('b');
    fleet.remove('b');
    assert.equal(fleet.totals.processes.fatal, 0);
    assert.equal(fleet.totals.processes.total, 2);
});

test('older news of a node is left alone', () => {
    const fleet = new Fleet();
    fleet.replace([node('a', { revision: 5, state: 'down' })]);
    fleet.put(node('a', { revision: 4, state: 'up' }));
    assert.equal(fleet.nodes.get('a').state, 'down');
});

test('a process that changes is counted once, before or after its node says so', () => {
    const after = counts({ total: 2, running: 1, fatal: 1 });
    const change = { node: 'a', previous: 'RUNNING', state: 'FATAL', revision: 2 };

    const first = new Fleet();
    first.replace([node('a')]);
    first.move(change);
    assert.equal(first.totals.processes.fatal, 1);
    assert.equal(first.totals.processes.running, 1);
    first.put(node('a', { revision: 2, counts: after }));
    assert.equal(first.totals.processes.fatal, 1);

    const second = new Fleet();
    second.replace([node('a', { revision: 2, counts: after })]);
    second.move(change);
    assert.equal(second.totals.processes.fatal, 1);
    assert.equal(second.totals.processes.total, 2);
});

test('processes that come and go move the total', () => {
    const fleet = new Fleet();
    fleet.replace([node('a')]);
    fleet.move({ node: 'a', previous: null, state: 'STOPPED', revision: 2 });
    assert.equal(fleet.totals.processes.total, 3);
    fleet.move({ node: 'a', previous: 'STOPPED', state: 'REMOVED', revision: 3 });
    assert.equal(fleet.totals.processes.total, 2);
    fleet.move({ node: 'nobody', previous: 'STOPPED', state: 'RUNNING', revision: 3 });
    assert.equal(fleet.totals.processes.total, 2);
});

test('nodes that are down come first, then those with failing processes', () => {
    const fleet = new Fleet();
    fleet.replace([node('a'), node('c', { counts: counts({ total: 1, fatal: 1 }) }),
        node('z', { state: 'down' }), node('b', { state: 'disabled' })]);
    assert.deepEqual(fleet.sorted().map(({ name }) => name), ['z', 'c', 'a', 'b']);
});

test('environments add up, those in trouble first', () => {
    const fleet = new Fleet();
    fleet.replace([node('a'), node('b', { environment: 'staging', state: 'down' }),
        node('c', { environment: 'lab', counts: null })]);
    const list = fleet.environments();
    assert.deepEqual(list.map(({ name }) => name), ['staging', 'lab', 'production']);
    assert.equal(list[1].processes.total, 0);
    assert.equal(list[2].processes.running, 2);
});

test('nodes are found by every word of their name, cause or label', () => {
    const one = node('web-1', { labels: { role: 'web' }, cause: 'timeout', state: 'down' });
    assert.ok(matchesNode(one, { q: 'WEB time' }));
    assert.ok(matchesNode(one, { q: 'role=web' }));
    assert.ok(!matchesNode(one, { q: 'web refused' }));
    assert.ok(!matchesNode(one, { state: 'up' }));
    assert.ok(!matchesNode(one, { environment: 'staging' }));
    assert.ok(matchesNode(one, {}));
});

test('what changes while a list is read is not lost, and older than the list is not taken', () => {
    const set = new ProcessSet(isFailing);
    set.begin();
    set.apply(process('late', 'FATAL', 7));
    set.apply(process('healed', 'RUNNING', 7));
    set.apply(process('old', 'RUNNING', 3));
    set.load([process('healed', 'FATAL', 6), process('old', 'BACKOFF', 5)]);
    assert.deepEqual([...set.items.values()].map(({ id }) => id).sort(), ['late', 'old']);
});

test('a set keeps what belongs to it, and loses what was removed', () => {
    const set = new ProcessSet(isFailing);
    set.load([process('x', 'FATAL', 1)]);
    assert.equal(set.apply(process('y', 'RUNNING', 2)), false);
    assert.equal(set.apply(process('y', 'BACKOFF', 3)), true);
    assert.equal(set.apply(process('x', 'REMOVED', 4)), true);
    assert.equal(set.apply(process('y', 'RUNNING', 2)), false);
    assert.equal(set.items.size, 1);
    assert.equal(set.removeNode('a'), true);
    assert.equal(set.items.size, 0);
});

test('the worst processes come first, those that ended well last of the failing', () => {
    const sorted = [process('e', 'RUNNING', 1), process('d', 'EXITED', 1),
        process('c', 'EXITED', 1, { exit_status: 1 }), process('b', 'BACKOFF', 1),
        process('a', 'FATAL', 1), process('?', 'NEWSTATE', 1)].sort(compareProcesses);
    assert.deepEqual(sorted.map(({ id }) => id), ['a', 'b', '?', 'c', 'd', 'e']);
});
