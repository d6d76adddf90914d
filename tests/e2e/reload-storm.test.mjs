// A storm of SIGHUPs over a file that alternates between two good versions and a wrong one, while
// the API, the WebSocket, log follows and operations are busy. ThreadSanitizer gets all of it, the
// other builds a shorter one.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { binary, Cesid, configText } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { scrape } from './lib/metrics.mjs';
import { sleep, until } from './lib/wait.mjs';

const [signals, seconds] = /\/thread\//.test(binary) ? [1000, 10] : [200, 2];
const still = 4;   // nodes that are the same in both versions
const moving = 5;  // nodes that are not, and one more in the second
let fakes, cesid;

function version(name) {
    const all = fakes.configs();
    const second = name === 'b';
    const nodes = [...all.slice(0, still), ...all.slice(still, still + moving + (second ? 1 : 0))
        .map((node) => ({ ...node, environment: `env-${name}`, labels: { version: name } }))];
    const { port, state } = cesid;
    return configText({
        server: { listen: `127.0.0.1:${port}`, state_dir: state, connections_per_address: 1000 },
        store: { path: `${state}/cesid.db` },
        refresh: { interval: second ? 0.5 : 1.0, connections: second ? 8 : 64 },
        websocket: { ping_interval: second ? 9.0 : 5.0, rate: second ? 50.0 : 60.0 },
        operations: { parallelism: second ? 2 : 8, history: second ? 20 : 50 },
        log: { level: second ? 'info' : 'warning' },
        nodes,
    });
}

const wrong = 'nodes = ( { name = "x"; url = "gopher://x"; } );\nlog = { level = "loud"; };\n';

function put(text) {
    writeFileSync(`${cesid.file}.new`, text, { mode: 0o600 });
    renameSync(`${cesid.file}.new`, cesid.file);
}

// Which version an answer of GET /nodes is, or a failure when it is a mixture.
function versionOf(nodes) {
    const changing = nodes.filter((node) => node.environment !== 'test');
    const name = changing[0].labels.version;
    for (const node of changing)
        assert.deepEqual([node.environment, node.labels.version], [`env-${name}`, name],
            JSON.stringify(changing.map(({ environment, labels }) => [environment, labels])));
    assert.equal(nodes.length, still + moving + (name === 'b' ? 1 : 0), `nodes of version ${name}`);
    return name;
}

before(async () => {
    fakes = await new Fakes({ nodes: still + moving + 1 }).start();
    cesid = new Cesid({ nodes: fakes.configs().slice(0, still) });
    await cesid.start();
    await cesid.login();
    put(version('a'));
    cesid.signal('SIGHUP');
    await until('the first version', async () =>
        (await cesid.get('/nodes')).items.length === still + moving);
    for (const { name } of fakes.configs().slice(0, still + moving))
        await cesid.nodeIs(name, 'up');
});
after(async () => {
    await cesid?.stop();
    await fakes?.stop();
});

test(`R4.1 R4.2 R4.3 R4.4 ${signals} SIGHUPs in ${seconds} s: every answer is one version's, whole`,
    async () => {
        const connected = (await fakes.order('stats', `0-${still - 1}`)).accepted;
        const untouched = async () => (await cesid.get('/nodes')).items.slice(0, still)
            .map(({ name, revision, since, state }) => ({ name, revision, since, state }));
        const known = await untouched();
        const seen = { a: 0, b: 0 };
        let running = true, failed;
        const loop = async (work) => {
            try {
                while (running && !failed)
                    await work();
            } catch (error) {
                failed ??= error;
            }
        };
        const socket = await cesid.socket();
        await socket.subscribe('fleet');
        const follow = cesid.follow(
            `/nodes/${fakes.configs()[still].name}/processes/p0000/log/follow`);
        const load = [
            ...[1, 2].map(() => loop(async () => {
                seen[versionOf((await cesid.get('/nodes')).items)]++;
            })),
            loop(async () => { // operations on nodes that change and go
                await cesid.post('/operations', { action: 'restart',
                    select: { environments: ['env-*'], processes: ['*:p0001'] } });
                await sleep(0.05);
            }),
            loop(async () => { // clients that come and go: a setting that belongs to one version
                const client = await cesid.socket();
                const hello = await client.next('hello', (m) => m.type === 'hello');
                assert.ok([5, 9].includes(hello.data.heartbeat), String(hello.data.heartbeat));
                await client.close();
            }),
            loop(async () => {
                const answer = await cesid.post('/system/reload');
                assert.ok([200, 422].includes(answer.status), answer.text);
                await sleep(0.1);
            }),
        ];
        const files = [version('a'), version('b'), wrong];
        const begin = performance.now();
        for (let i = 0; i < signals && !failed; i++) {
            put(files[i % 3]);
            cesid.signal('SIGHUP');
            const due = begin + seconds * 1000 * (i + 1) / signals;
            if (due > performance.now())
                await sleep((due - performance.now()) / 1000);
        }
        const took = (performance.now() - begin) / 1000;
        running = false;
        await Promise.all(load);
        assert.ifError(failed);

        // The last content wins.
        put(version('b'));
        cesid.signal('SIGHUP');
        await until('the last version', async () =>
            versionOf((await cesid.get('/nodes')).items) === 'b');
        assert.ok(seen.a > 0 && seen.b > 0, JSON.stringify(seen));
        assert.ok(fakes.child.running, fakes.child.stderr);
        const page = await scrape(cesid);
        for (const result of ['ok', 'refused'])
            assert.ok(page.value('cesid_config_reloads_total', { result }) > signals / 20, result);
        assert.equal((await fakes.order('stats', `0-${still - 1}`)).accepted, connected,
            'an unchanged node was connected to again');
        assert.ok(follow.running, follow.stderr);
        follow.kill();
        await socket.close(); // no gap in its numbers
        assert.ok(took < seconds * 1.5, `${took} s`);
        assert.deepEqual(await untouched(), known);
        assert.ok(page.value('cesid_operations_total') > 0);
    });

test('R4.1 R7.3 R8.3 SIGHUPs do not keep a SIGTERM from being heeded', async () => {
    for (let i = 0; i < 50; i++) {
        put(version(i % 2 ? 'a' : 'b'));
        cesid.signal('SIGHUP');
        if (i === 40)
            cesid.signal('SIGTERM');
    }
    assert.ok(await cesid.stop() < 15);
});
