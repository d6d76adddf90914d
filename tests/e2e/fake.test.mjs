// The fake supervisord is held to the real one, or what other tests prove with it is worth nothing.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Fakes } from './lib/fake.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { Child, runToEnd } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const compare = join(dirname(fileURLToPath(import.meta.url)), '../fake/compare.py');
let real, fakes;
before(async () => {
    real = new Supervisord({
        name: 'real', listener: 'unix',
        programs: {
            steady: {
                command: '/bin/sh -c \'echo a line of text; exec sleep 100000\'', startsecs: 1,
            },
            other: { command: '/bin/sleep 100000' },
        },
    });
    fakes = new Fakes({ processes: 2 });
    await Promise.all([real.start(), fakes.start()]);
});
after(() => Promise.all([real?.stop(), fakes?.stop()]));

const curl = (path, ...options) => ['-sSi', '--unix-socket', path, ...options];
const fakeSocket = () => join(fakes.directory, '0.sock');

test('the fake answers each method as a real supervisord does', async () => {
    await until('it has written its line', async () => (await runToEnd('curl',
        curl(real.socket, '-m', '1', 'http://localhost/logtail/steady'))).stdout
        .includes('a line of text'));
    const { stdout, stderr } = await runToEnd('/usr/bin/python3',
        [compare, real.socket, fakeSocket(), 'steady', 'p0000'], { seconds: 40 });
    const wrong = stdout.split('\n').filter((line) => line.startsWith('not ok'));
    assert.deepEqual(wrong, [], stderr);
    assert.ok(stdout.split('\n').filter((line) => line.startsWith('ok')).length > 40, stderr);
});

test('the fake follows a log as a real supervisord does', async () => {
    const heads = await Promise.all([[real.socket, 'steady'], [fakeSocket(), 'p0001']]
        .map(async ([path, name]) => {
            const child = new Child('curl',
                curl(path, '-N', `http://localhost/logtail/${name}%3A${name}/stdout`));
            await until('a head and a line', () => /\r\n\r\n./s.test(child.stdout));
            child.kill();
            return child.stdout.split('\r\n\r\n')[0].split('\r\n')
                .filter((line) => !/^(Date|Last-Modified)/.test(line));
        }));
    assert.deepEqual(heads[0], heads[1]);
    const missing = await Promise.all([real.socket, fakeSocket()].map(async (path) =>
        (await runToEnd('curl', curl(path, 'http://localhost/logtail/none/stdout'))).stdout
            .replace(/^Date.*\r\n/m, '').split('\r\n').sort().join('\n')));
    assert.equal(missing[0].replaceAll(/\s+/g, ' '), missing[1].replaceAll(/\s+/g, ' '));
});

test('the fake changes on a script, restarts, and its clock jumps', async () => {
    const info = async () => (await runToEnd('curl', curl(fakeSocket(), '-d',
        '<methodCall><methodName>supervisor.getAllProcessInfo</methodName></methodCall>',
        'http://localhost/RPC2'))).stdout;
    const field = (text, name) => [...text.matchAll(
        new RegExp(`<name>${name}</name>\n<value><\\w+>([^<]*)`, 'g'))].map((match) => match[1]);
    const before = await info();
    assert.deepEqual(field(before, 'statename'), ['RUNNING', 'RUNNING']);
    await fakes.order('script', '*', '*:p0001', 'RUNNING:0.2', 'EXITED:0.2');
    const seen = new Set();
    await until('both of its states', async () => {
        seen.add(field(await info(), 'statename')[1]);
        return seen.has('EXITED') && seen.has('RUNNING');
    });
    await fakes.order('script', '*', '*:p0001', 'none');
    await fakes.order('state', '*', '*:p0001', 'EXITED', '7');
    const exited = await info();
    assert.deepEqual(field(exited, 'exitstatus'), ['0', '7']);
    assert.deepEqual(field(exited, 'pid')[1], '0');
    await fakes.order('set', '0', 'clock=-86400');
    assert.ok(Number(field(await info(), 'now')[0]) < Number(field(before, 'now')[0]) - 80000);
    await fakes.order('restart', '0');
    const after = await info();
    assert.deepEqual(field(after, 'statename'), ['RUNNING', 'RUNNING']);
    assert.notEqual(field(after, 'pid')[0], field(before, 'pid')[0]);
    assert.ok(Number(field(after, 'start')[0]) < Number(field(before, 'start')[0]));
});
