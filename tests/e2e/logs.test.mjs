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
    const count = () => curl.stdout.split('\n').length;
    let seen = count(), alone = 0;
    // One after another, not in lumps.
    await until('ten lines that came alone', () => {
        const more = count() - seen;
        seen += more;
        alone += more === 1 ? 1 : 0;
        return alone >= 10;
    });
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
        await until('they all read', () => followers.every((curl) => /^tick/m.test(curl.stdout)), 20);
        for (const curl of followers)
            curl.kill();
        await Promise.all(followers.map((curl) => curl.exited));
        // 64 places: without their return the third round would find none.
        await until('their places are free', async () =>
            (await cesid.get('/system')).queues.http.streams === 0);
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

// A program that says many lines at once, then one after another.
const talker = (word, more = {}) => ({
    command: `/bin/sh -c 'n=0; while [ $n -lt 400 ]; do n=$((n+1)); echo "${word} $n"; done; ` +
        `while sleep 0.2; do n=$((n+1)); echo "${word} $n"; done'`, ...more,
});

// Puts programs into gamma's configuration (undefined: out of it) and updates.
async function update(programs, changes) {
    const programsNow = { ...fleet.gamma.programs, ...programs };
    for (const [name, program] of Object.entries(programs))
        if (program === undefined)
            delete programsNow[name];
    fleet.gamma.programs = programsNow;
    fleet.gamma.configure();
    assert.deepEqual(expectOk(await cesid.post('/nodes/gamma/update')),
        { added: [], changed: [], removed: [], ...changes });
}

// Both kinds of followers of one program's log.
class Watch {
    constructor(name) {
        Object.assign(this, { name, topic: `log:gamma:${name}:${name}:stdout` });
    }

    async start() {
        this.socket = await cesid.socket();
        await this.socket.subscribe(this.topic);
        this.curl = cesid.follow(`/nodes/gamma/processes/${this.name}/log/follow`);
        return this;
    }

    pieces(from = 0) {
        return this.socket.messages.slice(from).filter((m) => m.type === 'log')
            .map(({ data }) => data);
    }

    async hear(line, from = 0) {
        await until(`"${line}" on the WebSocket`, () =>
            this.pieces(from).map(({ data }) => data).join('').includes(line));
        await until(`"${line}" at /log/follow`, () => this.curl.stdout.includes(line));
    }

    // What came since the log began anew is the file, from its first byte on.
    async isTheFile(from) {
        const { stdout_log: file } = await cesid.process('gamma', `${this.name}:${this.name}`);
        const bytes = readFileSync(file).toString();
        const all = this.pieces(from);
        const begin = all.findIndex(({ data, offset }) => data !== '' && offset === 0);
        assert.ok(begin >= 0, 'it begins at 0');
        let at = 0, text = '';
        for (const { data, offset, skipped } of all.slice(begin)) {
            assert.deepEqual([offset, skipped], [at, 0]);
            at += Buffer.byteLength(data);
            text += data;
        }
        text = text.slice(0, bytes.length);
        assert.ok(text.length > 2000);
        assert.equal(text, bytes.slice(0, text.length));
        assert.ok(this.curl.stdout.includes(text.slice(0, 3000)), 'and so it does at /log/follow');
    }

    async stop() {
        await this.socket.close();
        assert.ok(this.curl.running, 'the follower was not cut');
        this.curl.kill();
        await this.curl.exited;
    }
}

test('a log outlives an update of its program, in another file', async () => {
    await update({ app: talker('old') }, { added: ['app'] });
    await cesid.processIs('gamma', 'app:app', 'RUNNING');
    const watch = await new Watch('app').start();
    await watch.hear('old 402\n');
    const from = watch.socket.mark;
    await update({ app: talker('new') }, { changed: ['app'] });
    await watch.hear('new 403\n', from);
    await watch.isTheFile(from);
    assert.deepEqual(watch.pieces().filter(({ error }) => error), [], 'it never was away for long');

    // Who comes now is shown the new one, and that it goes on.
    const late = await new Watch('app').start();
    await late.hear('new 406\n');
    assert.ok(!late.pieces().some(({ data }) => data.includes('old')));
    assert.ok(!late.curl.stdout.includes('old'));
    await late.stop();

    // Once more, and errors are another log.
    const errors = await cesid.socket();
    await errors.subscribe('log:gamma:app:app:stderr');
    const again = watch.socket.mark;
    await update({ app: { ...talker('newer'),
        command: talker('newer').command.replaceAll('done\'', 'echo oh >&2; done\'') } },
    { changed: ['app'] });
    await watch.hear('newer 403\n', again);
    await watch.isTheFile(again);
    await errors.next('an error', (m) => m.type === 'log' && m.data.data === 'oh\n');
    await errors.close();
    await watch.stop();
    await update({ app: undefined }, { removed: ['app'] });
});

test('who follows a log is told when the process is gone, and goes on when it is back', async () => {
    await update({ away: talker('old') }, { added: ['away'] });
    await cesid.processIs('gamma', 'away:away', 'RUNNING');
    const watch = await new Watch('away').start();
    await watch.hear('old 402\n');
    for (const word of ['second', 'third']) {
        const gone = watch.socket.mark;
        await update({ away: undefined }, { removed: ['away'] });
        await watch.socket.next('that it is gone',
            (m) => m.type === 'log' && m.data.error === 'not_found', { from: gone });
        await sleep(1.5);
        assert.equal(watch.pieces(gone).filter(({ error }) => error).length, 1, 'said once');

        const back = watch.socket.mark;
        await update({ away: talker(word) }, { added: ['away'] });
        await watch.hear(`${word} 402\n`, back);
        await watch.isTheFile(back);
        assert.ok(!watch.pieces(back).some(({ error }) => error));
    }
    await watch.stop();
    await update({ away: undefined }, { removed: ['away'] });
});

test('a log in the same file goes on where it was when its program is back', async () => {
    const stdout_logfile = `${fleet.gamma.directory}/kept.log`;
    await update({ kept: talker('old', { stdout_logfile }) }, { added: ['kept'] });
    await cesid.processIs('gamma', 'kept:kept', 'RUNNING');
    const watch = await new Watch('kept').start();
    await watch.hear('old 402\n');
    await update({ kept: undefined }, { removed: ['kept'] });
    await watch.socket.next('that it is gone', (m) => m.type === 'log' && m.data.error);
    const back = watch.socket.mark;
    await update({ kept: talker('new', { stdout_logfile }) }, { added: ['kept'] });
    await watch.hear('new 402\n', back);
    let at = -1;
    for (const { data, offset, skipped } of watch.pieces()) {
        assert.equal(skipped, 0);
        assert.ok(at < 0 || offset === at, `${offset} after ${at}`);
        at = offset + Buffer.byteLength(data);
    }
    const bytes = readFileSync(stdout_logfile).toString();
    const { stdout } = watch.curl;
    const text = stdout.slice(0, stdout.lastIndexOf('new 402\n'));
    assert.ok(bytes.includes(text), 'no line is missing or there twice');
    await watch.stop();
    await update({ kept: undefined }, { removed: ['kept'] });
});
