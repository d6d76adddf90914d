// Server-Sent Events: the WebSocket's messages for those who cannot have one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { until } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

// The events so far: [{ id, event, data }].
function events(text) {
    return text.split(/\n\n/).slice(0, -1).map((block) => {
        const fields = {};
        for (const line of block.split('\n')) {
            const match = /^(id|event|data): ?(.*)$/.exec(line);
            if (match)
                fields[match[1]] = match[2];
        }
        return { ...fields, data: fields.data && JSON.parse(fields.data) };
    }).filter((event) => event.data);
}

test('events stream the same messages as the WebSocket', async () => {
    const curl = cesid.follow('/events?topics=fleet');
    await until('a snapshot', () =>
        events(curl.stdout).some((event) => event.data.type === 'snapshot'));
    expectOk(await cesid.post('/nodes/gamma/processes/lone/stop'));
    const found = await until('the stop', () => events(curl.stdout).find((event) =>
        event.data.type === 'process' && event.data.data.id === 'lone:lone' &&
        event.data.data.state === 'STOPPED'));
    assert.match(found.id, /^[\w]+-\d+$/);
    assert.equal(found.data.data.node, 'gamma');
    curl.kill();
    await curl.exited;

    // Last-Event-ID: what was missed comes first.
    expectOk(await cesid.post('/nodes/gamma/processes/lone/start'));
    const again = cesid.follow('/events?topics=fleet', '-H', `Last-Event-ID: ${found.id}`, '-i');
    await until('an answer to the resumed stream', () => events(again.stdout).length > 0);
    assert.match(again.stdout, /content-type: text\/event-stream/i);
    assert.match(again.stdout, /cache-control: no-(store|cache)/i);
    again.kill();
    await again.exited;

    // What one of its topics named may have gone meanwhile: the rest goes on.
    const topics = 'fleet,log:gamma:gone:gone:stdout';
    expectProblem(await cesid.api('GET', `/events?topics=${topics}`), 404, 'not_found');
    const rest = cesid.follow(`/events?topics=${topics}`, '-H', `Last-Event-ID: ${found.id}`);
    await until('the rest of the topics', () => events(rest.stdout).some((event) =>
        event.data.type === 'process'));
    rest.kill();
    await rest.exited;
});

test('topics are checked before a stream begins', async () => {
    for (const query of ['?topics=', '?topics=nonsense', '?topics=fleet&colour=red']) {
        const problem = expectProblem(await cesid.api('GET', `/events${query}`),
            422, 'validation_failed');
        assert.equal(problem.errors.length, 1, query);
    }
    const hidden = await cesid.api('GET', '/events?topics=node:nowhere');
    assert.ok([404, 422].includes(hidden.status), hidden.text);
});

test('a topic of one node brings nothing of another', async () => {
    const curl = cesid.follow('/events?topics=node:beta,operations');
    await until('the stream is open', () => events(curl.stdout).length > 0);
    expectOk(await cesid.post('/nodes/gamma/processes/lone/restart'));
    expectOk(await cesid.post('/nodes/beta/processes/hup/restart'));
    await until('the restart', () => events(curl.stdout).some((event) =>
        event.data.type === 'process' && event.data.data.id === 'hup:hup'));
    assert.ok(events(curl.stdout).filter((event) => event.data.type === 'process')
        .every((event) => event.data.data.node === 'beta'));
    curl.kill();
    await curl.exited;
});
