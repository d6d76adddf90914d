// A log that is watched stands at its offsets in the file, also when it grows all the time, and when
// it is replaced.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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
