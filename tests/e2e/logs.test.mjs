// Logs: read by offset, followed as they are written, downloaded, cleared.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Fleet } from './lib/fleet.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';
import { sleep, until, within } from './lib/wait.mjs';

let fleet, cesid;
before(async () => {
    fleet = await Fleet.start();
    cesid = fleet.cesid;
});
after(() => fleet?.stop());

const log = (node, process, query = '') =>
    cesid.get(`/nodes/${node}/processes/${process}/log${query}`);

test('a log is read by byte offsets', async () => {
    await until('some ticks', async () => (await log('alpha', 'ticker')).data.includes('tick 5\n'));
    const whole = await log('alpha', 'ticker');
    assert.equal(whole.offset, 0);
    assert.match(whole.data, /^tick 1\ntick 2\n/);
    assert.equal(whole.next, Buffer.byteLength(whole.data));
    assert.ok(whole.size >= whole.next);

    const part = await log('alpha', 'ticker', '?offset=7&length=7');
    assert.deepEqual([part.data, part.offset, part.next], ['tick 2\n', 7, 14]);
    const more = await log('alpha', 'ticker', `?offset=${part.next}&length=6`);
    assert.equal(more.data, 'tick 3');
    const end = await log('alpha', 'ticker', '?offset=-7');
    assert.ok(end.offset >= whole.next - 7);
    assert.ok(end.data.length >= 1 && end.data.length <= 200);
    // Beyond the end there is nothing, and nothing is an answer.
    const beyond = await log('alpha', 'ticker', '?offset=100000000');
    assert.equal(beyond.data, '');

    await until('fatal has said why', async () =>
        (await log('alpha', 'fatal', '?stream=stderr')).data === 'no such luck\n');
    assert.equal((await log('alpha', 'fatal', '?stream=stdout')).data, '');
});

test('bytes that are no UTF-8 become U+FFFD, the rest stays', async () => {
    const { data, offset, next, size } = await log('beta', 'binary');
    assert.match(data, /^first\uFFFD+ second\x1b\[31mred\x1b\[0m\x01\n$/);
    assert.equal(offset, 0);
    assert.equal(next, size);
    const [process] = (await cesid.get('/nodes/beta/processes')).items
        .filter((item) => item.name === 'binary');
    assert.equal(size, statSync(process.stdout_log).size);
});

test('a read that cuts a character in two loses and invents nothing', async () => {
    const { stdout_log: file } = await cesid.process('beta', 'words');
    const bytes = await until('the words are written', () => {
        const content = readFileSync(file);
        return content.length === 7501 && content;
    });
    let text = '', offset = 0;
    for (let i = 0; i < 40 && offset < bytes.length; i++) {
        const part = await log('beta', 'words', `?offset=${offset}&length=256`);
        assert.ok(part.next > offset, 'it moves on');
        text += part.data;
        offset = part.next;
    }
    assert.equal(text, bytes.toString('utf8'));
});

test('curl -N prints lines as they are written', async () => {
    const curl = cesid.follow('/nodes/alpha/processes/ticker/log/follow', '-i');
    await until('the first lines', () => /tick \d+\n/.test(curl.stdout));
    assert.match(curl.stdout, /^HTTP\/1.1 200/);
    assert.match(curl.stdout, /content-type: text\/plain/i);
    const arrivals = [];
    let seen = 0;
    const count = () => curl.stdout.split('\n').length;
    const start = count();
    await until('ten more lines', () => {
        const now = count();
        if (now > start + seen) {
            seen = now - start;
            arrivals.push(performance.now());
        }
        return seen >= 10;
    });
    // One after another, not in lumps.
    assert.ok(arrivals.length >= 5, `${seen} lines came in ${arrivals.length} pieces`);
    const numbers = [...curl.stdout.matchAll(/^tick (\d+)\r?$/gm)].map((match) => Number(match[1]));
    numbers.forEach((number, i) => assert.equal(number, numbers[0] + i, 'no gap, no repetition'));
    curl.kill();
    await curl.exited;
});

test('a follower outlives a restart of the process', async () => {
    const curl = cesid.follow('/nodes/alpha/processes/cat/log/follow');
    const say = (data) => cesid.post('/nodes/alpha/processes/cat/stdin', { data });
    await until('cat is heard', async () => {
        await say('before\n');
        return curl.stdout.includes('before\n');
    });
    expectOk(await cesid.post('/nodes/alpha/processes/cat/restart'));
    await until('cat is heard again', async () => {
        await say('after\n');
        return curl.stdout.includes('after\n');
    });
    curl.kill();
    await curl.exited;
});

test('many followers share one stream and all see every line', async () => {
    const followers = Array.from({ length: 8 }, () =>
        cesid.follow('/nodes/beta/processes/ticker/log/follow'));
    await until('all of them have five lines', () =>
        followers.every((curl) => (curl.stdout.match(/tick/g) ?? []).length >= 5));
    for (const curl of followers) {
        curl.kill();
        await curl.exited;
    }
});

test('R8.2 a follower that leaves gives its place back', async () => {
    for (let round = 0; round < 3; round++) {
        const followers = Array.from({ length: 30 }, () =>
            cesid.follow('/nodes/beta/processes/ticker/log/follow'));
        await until('they all read', () => followers.every((curl) => curl.stdout !== ''), 20);
        for (const curl of followers)
            curl.kill();
        await Promise.all(followers.map((curl) => curl.exited));
        // 64 places: without their return the third round would find none.
        await sleep(0.3);
    }
});

test('a log is downloaded byte for byte', async () => {
    const { stdout_log: file } = await cesid.process('beta', 'words');
    const answer = await cesid.api('GET', '/nodes/beta/processes/words/log/download');
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers['content-disposition'], /^attachment; filename="?[\w.:-]+"?/);
    assert.ok(answer.bytes.equals(readFileSync(file)));
});

test('clearing empties the log of a running process', async () => {
    await until('there is text', async () => (await log('beta', 'words')).size > 0);
    expectOk(await cesid.api('DELETE', '/nodes/beta/processes/words/log'), 204);
    const { data, size } = await log('beta', 'words');
    assert.deepEqual([data, size], ['', 0]);
});

test('the log of a process that does not run cannot be cleared, and the answer says so', async () => {
    expectOk(await cesid.post('/nodes/beta/processes/words/restart'));
    await until('there is text', async () => (await log('beta', 'words')).size > 0);
    expectOk(await cesid.post('/nodes/beta/processes/words/stop'));
    const before = await log('beta', 'words');
    const problem = expectProblem(
        await cesid.api('DELETE', '/nodes/beta/processes/words/log'), 409, 'not_running');
    assert.match(problem.detail, /only while it runs/);
    assert.deepEqual(await log('beta', 'words'), before);
    expectOk(await cesid.post('/nodes/beta/processes/words/start'));
    expectProblem(await cesid.api('DELETE', '/nodes/beta/processes/nobody/log'), 404, 'not_found');
});

test('R9.4 no parameter of a log reaches another file', async () => {
    const evil = ['..', '%2e%2e', '..%2f..%2fetc%2fpasswd', '%00', 'ticker%00', '%2Fetc%2Fpasswd',
        '....//', 'ticker:..', '..:..'];
    for (const name of evil) {
        for (const part of [`/nodes/alpha/processes/${name}/log`, `/nodes/${name}/processes`,
            `/nodes/alpha/processes/${name}/log/download`]) {
            const answer = await cesid.api('GET', part);
            assert.ok([400, 404].includes(answer.status), `${part}: ${answer.text}`);
            assert.ok(!answer.text.includes('root:'));
        }
    }
});

test('R9.1 wrong parameters of a log are named', async () => {
    for (const [query, field] of [['stream=stdin', 'stream'], ['offset=abc', 'offset'],
        ['offset=99999999999999999999', 'offset'], ['length=0', 'length'],
        ['length=1048577', 'length'], ['length=-1', 'length'], ['colour=red', 'colour']]) {
        const problem = expectProblem(
            await cesid.api('GET', `/nodes/alpha/processes/ticker/log?${query}`),
            422, 'validation_failed');
        assert.deepEqual(problem.errors.map((error) => error.field), [field], query);
    }
});

test('following over the WebSocket brings the same bytes, by topic', async () => {
    const socket = await cesid.socket();
    await socket.next('hello', (message) => message.type === 'hello');
    await socket.subscribe('log:alpha:ticker:ticker:stdout');
    const first = await socket.next('log data', (message) => message.type === 'log');
    assert.deepEqual(Object.keys(first.data).sort(),
        ['data', 'node', 'offset', 'process', 'skipped', 'stream']);
    assert.equal(first.data.node, 'alpha');
    assert.equal(first.data.process, 'ticker:ticker');
    assert.equal(first.data.stream, 'stdout');
    await until('several pieces', () =>
        socket.messages.filter((message) => message.type === 'log').length >= 6);
    const pieces = socket.messages.filter((message) => message.type === 'log');
    const text = pieces.map((message) => message.data.data).join('');
    const numbers = [...text.matchAll(/^tick (\d+)$/gm)].map((match) => Number(match[1]));
    numbers.forEach((number, i) => assert.equal(number, numbers[0] + i));
    pieces.slice(1).forEach((piece, i) => assert.equal(piece.data.offset,
        pieces[i].data.offset + Buffer.byteLength(pieces[i].data.data)));

    socket.send({ type: 'unsubscribe', topics: ['log:alpha:ticker:ticker:stdout'] });
    socket.send({ type: 'ping' });
    await socket.next('pong', (message) => message.type === 'pong');
    const from = socket.mark;
    await within('a pause', sleep(1), 5);
    assert.equal(socket.messages.slice(from).filter((m) => m.type === 'log').length, 0);
    await socket.close();
});
