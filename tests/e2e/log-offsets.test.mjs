// A log that is watched stands at its offsets in the file, also when it grows all the time, and when
// it is replaced. And one that is not UTF-8 is read whole.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { expectOk } from './lib/http.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { sleep, until } from './lib/wait.mjs';

const count = `import time
i = 0
while True:
    print('line %07d of a log that never rests' % i, flush=True)
    i += 1
    time.sleep(0.001)
`.replaceAll('\n', '\\n');
let node, cesid;

before(async () => {
    node = new Supervisord({ name: 'one', programs: {
        busy: { command: `/usr/bin/python3 -c "exec(\\"${count}\\")"` },
        cat: { command: '/bin/cat' },
        idle: { command: '/bin/sleep 100000' },
    } });
    await node.start();
    cesid = await new Cesid({ nodes: [nodeConfig(node)] }).start();
    await cesid.login();
    await cesid.nodeIs('one', 'up');
    await cesid.processIs('one', 'busy:busy', 'RUNNING');
    await cesid.processIs('one', 'cat:cat', 'RUNNING');
});
after(async () => {
    await cesid?.stop();
    node?.child?.kill();
});

const isLog = (message) => message.type === 'log' && message.data.data !== '';

test('each piece of a log that grows all the time stands at its offset', async () => {
    const { stdout_log: file } = await cesid.process('one', 'busy');
    const socket = await cesid.socket();
    const topic = 'log:one:busy:busy:stdout';
    for (let i = 0; i < 12; i++) {
        const from = socket.mark;
        await socket.subscribe(topic);
        await until('some pieces', () => socket.messages.slice(from).filter(isLog).length >= 3);
        socket.send({ type: 'unsubscribe', topics: [topic] });
        await until('it is over', async () =>
            (await cesid.get('/system')).queues.hub.logs === 0);
        const pieces = socket.messages.slice(from).filter(isLog).map(({ data }) => data);
        const text = pieces.map(({ data }) => data).join('');
        const bytes = readFileSync(file);
        const { offset } = pieces[0];
        assert.equal(text, bytes.subarray(offset, offset + Buffer.byteLength(text)).toString(),
            `round ${i}, from ${offset}`);
        pieces.reduce((at, piece) => {
            assert.equal(piece.offset, at);
            return at + Buffer.byteLength(piece.data);
        }, offset);
        assert.match(text, /^line /);
    }
    await socket.close();
});

test('a log that is cleared begins anew for who watches it', async () => {
    const say = async (data) =>
        expectOk(await cesid.post('/nodes/one/processes/cat/stdin', { data }));
    const socket = await cesid.socket();
    await socket.subscribe('log:one:cat:cat:stdout');
    await say('before it was cleared\n');
    await socket.next('the line', (m) => isLog(m) && m.data.data.startsWith('before'));
    for (let i = 0; i < 3; i++) {
        await sleep(1.2);
        expectOk(await cesid.api('DELETE', '/nodes/one/processes/cat/log'), 204);
        const from = socket.mark;
        await say(`line ${i} `);
        const first = await socket.next('a line', isLog, { from });
        assert.deepEqual([first.data.offset, first.data.data], [0, `line ${i} `]);
        const next = socket.mark;
        await say('goes on\n');
        const second = await socket.next('the rest', isLog, { from: next });
        assert.deepEqual([second.data.offset, second.data.data], [7, 'goes on\n']);
    }
    await socket.close();
});

// What is in the log of a process that writes nothing, and what reading it cost the node.
const put = async (bytes) => {
    const { stdout_log: file } = await cesid.process('one', 'idle');
    writeFileSync(file, bytes);
};
const spent = () => {
    const fields = readFileSync(`/proc/${node.child.pid}/stat`, 'latin1').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
};
const latin1 = (size) => {
    const lines = [];
    for (let i = 0, length = 0; length < size; i++, length += 100)
        lines.push(`${String(i).padStart(6, '0')} Gr\xfc\xdfe aus K\xf6ln `.padEnd(99, 'x') + '\n');
    return Buffer.from(lines.join('').slice(0, size), 'latin1');
};
const noise = (size) => {
    let state = 7;
    return Buffer.from(Array.from({ length: size }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 24;
    }));
};
const download = () => cesid.api('GET', '/nodes/one/processes/idle/log/download');
const read = (query = '') => cesid.get(`/nodes/one/processes/idle/log${query}`);

test('a log that is Latin-1 is downloaded byte for byte, and costs the node little', async () => {
    const bytes = latin1(300_000);
    await put(bytes);
    const before = spent();
    const answer = await download();
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.bytes.equals(bytes), `${answer.bytes.length} bytes came`);
    assert.ok(spent() - before < 6, `it took ${spent() - before} s of the node's time`);
});

test('a log of random bytes is downloaded as far as supervisord tells its bytes', async () => {
    const bytes = noise(30_000);
    await put(bytes);
    const answer = await download();
    assert.equal(answer.status, 200, answer.text);
    // A first byte that nobody tells and what follows it are one U+FFFD to Node, or two.
    const text = (data) => data.toString().replaceAll(/\uFFFD+/g, '\uFFFD');
    assert.ok(text(answer.bytes) === text(bytes));
    assert.ok(answer.bytes.length < bytes.length * 1.2, `${answer.bytes.length} bytes came`);
});

test('what is read of a Latin-1 log from its end reaches to its end', async () => {
    const bytes = latin1(100_814);
    await put(bytes);
    for (const [query, length] of [['', 65_536], ['?offset=-2000', 2000]]) {
        const before = spent();
        const part = await read(query);
        assert.deepEqual([part.size, part.next, part.truncated, part.offset],
            [bytes.length, bytes.length, false, bytes.length - length], query);
        assert.equal(part.data, bytes.subarray(part.offset).toString());
        assert.ok(spent() - before < 2, `it took ${spent() - before} s of the node's time`);
    }
});

test('when not all can be read, the end of the log is', async () => {
    const bytes = Buffer.alloc(65_536, 0xe4);
    await put(bytes);
    const part = await read();
    assert.deepEqual([part.size, part.next, part.truncated], [bytes.length, bytes.length, true]);
    assert.ok(part.offset > 0 && part.offset < bytes.length - 4000, `from ${part.offset}`);
    assert.equal(part.data, '\uFFFD'.repeat(part.next - part.offset));
});

test('a Latin-1 log is read part by part without loss or repetition', async () => {
    const bytes = latin1(20_000);
    await put(bytes);
    let text = '', offset = 0;
    while (offset < bytes.length) {
        const part = await read(`?offset=${offset}&length=3333`);
        assert.equal(part.offset, offset);
        assert.ok(part.next > offset);
        text += part.data;
        offset = part.next;
    }
    assert.equal(text, bytes.toString());
});
