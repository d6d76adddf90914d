// The record of who did what: real actions, filters, export, who may read it, and what survives.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { join } from 'node:path';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { run } from './lib/cesid.mjs';
import { until } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const find = async (query) => (await cesid.get(`/activity?${new URLSearchParams(query)}`)).items;
const one = async (query) => {
    const items = await find(query);
    assert.equal(items.length, 1, JSON.stringify(items));
    return items[0];
};

test('an action is recorded with who, what, where, how it went and from where', async () => {
    const answer = await cesid.post('/nodes/alpha/processes/cat/restart', undefined,
        { headers: { 'X-Request-ID': 'restart-1', 'User-Agent': 'tests/1 "x"' } });
    expectOk(answer);
    const record = await one({ action: 'process.restart' });
    assert.match(record.id, /^[0-9a-f]{32}$/);
    assert.match(record.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(record.duration > 0 && record.duration < 60, `${record.duration}`);
    const { id, at, duration, ...rest } = record;
    assert.deepEqual(rest, {
        level: 'info', actor: 'admin', action: 'process.restart', resource: 'process',
        target: 'alpha/cat:cat', environment: 'production', result: 'ok', status: 200,
        request_id: 'restart-1', address: '127.0.0.1', user_agent: 'tests/1 "x"',
        details: { operation: answer.json.id },
    });
});
