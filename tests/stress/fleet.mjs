#!/usr/bin/env node
// A fleet that is changed, reloaded, operated on and followed from all sides while its nodes fail in
// every way; then nothing of it may be left. Meant for ThreadSanitizer:
//
//   make fake && make SANITIZE=thread all
//   CESID_BIN=build/thread/cesid CESID_TEST_SLOW=4 node tests/stress/fleet.mjs [SECONDS [NODES]]
//
// Every answer must be one that the API promises; none may be `internal`. At the end all nodes go,
// and threads and descriptors must be as many as before the first came.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { Cesid } from '../e2e/lib/cesid.mjs';
import { Fakes } from '../e2e/lib/fake.mjs';
import { expectOk } from '../e2e/lib/http.mjs';
import { sleep, until } from '../e2e/lib/wait.mjs';

const seconds = Number(process.argv[2] ?? 120);
const nodes = Number(process.argv[3] ?? 300);
const fromFile = Math.floor(nodes / 2);
const faults = ['refuse', 'stuck', 'silent', 'headers', 'drip', 'reset', 'closed', 'close', 'drop',
    'truncate', 'longer', 'shorter', 'garbage', 'noise', 'html', 'strange', 'deep', 'control',
    'latin1', 'none', 'none', 'none'];

const dice = (sides) => Math.floor(Math.random() * sides);
const one = (list) => list[dice(list.length)];

function kept(pid) {
    return {
        threads: Number(/Threads:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]),
        descriptors: readdirSync(`/proc/${pid}/fd`).map((fd) => {
            try {
                return readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:.*/, '');
            } catch {
                return undefined;
            }
        }).filter((name) => name && !/cesid\.db/.test(name)).sort(), // the pool opens up to four
    };
}

class Storm {
    constructor(fakes, cesid) {
        Object.assign(this, { fakes, cesid, over: false, statuses: {}, sockets: 0, followed: 0 });
        this.configs = fakes.configs();
    }

    async ask(method, path, body, options = {}) {
        const answer = await this.cesid.api(method, path, { body, ...options });
        const key = `${method} ${answer.status} ${answer.json?.code ?? ''}`;
        this.statuses[key] = (this.statuses[key] ?? 0) + 1;
        assert.ok(answer.status !== 500 && answer.status !== 400, `${path}: ${answer.text}`);
        return answer;
    }

    any() {
        return this.fakes.name(dice(nodes));
    }

    process() {
        return `/nodes/${this.any()}/processes/p000${dice(5)}`;
    }

    // The file's half of the nodes: some go, some come, some change.
    async reload() {
        this.cesid.nodes = this.configs.slice(0, fromFile).filter(() => dice(10) > 0)
            .map((node) => ({ ...node, environment: one(['test', 'test', 'other']) }));
        this.cesid.configure();
        await this.ask('POST', '/system/reload');
        await sleep(0.2);
    }

    // The store's half.
    async addAndRemove() {
        const { name, url, environment } = this.configs[fromFile + dice(nodes - fromFile)];
        const answer = await this.ask('POST', '/nodes', { name, url, environment });
        if (answer.status === 409 || answer.status === 422)
            await this.ask('DELETE', `/nodes/${name}`);
    }

    async change() {
        const { name } = this.configs[fromFile + dice(nodes - fromFile)];
        if (dice(2) === 0)
            await this.ask('DELETE', `/nodes/${name}`);
        else
            await this.ask('PATCH', `/nodes/${name}`,
                one([{ enabled: false }, { enabled: true }, { labels: { role: one(['a', 'b']) } },
                    { environment: one(['test', 'other']) }]));
    }

    async operate() {
        const path = `${this.process()}/${one(['start', 'stop', 'restart'])}`;
        await this.ask('POST', `${path}${one(['', '?force=true'])}`, undefined,
            { headers: { Prefer: `wait=${dice(3)}` } });
    }

    async batch() {
        const answer = await this.ask('POST', '/operations', {
            action: one(['start', 'stop', 'restart']),
            select: { nodes: [`n0${dice(3)}${dice(10)}?`, `n00${dice(10)}*`],
                processes: [`p000${dice(5)}`] },
            parallelism: 1 + dice(30), timeout: 1 + dice(4), batch_timeout: 2 + dice(8),
            dry_run: dice(8) === 0,
        });
        if (answer.json?.id && dice(2) === 0) {
            await sleep(Math.random());
            await this.ask('DELETE', `/operations/${answer.json.id}`);
        }
    }

    async readLogs() {
        const path = this.process();
        await this.ask('GET', `${path}/log?stream=${one(['stdout', 'stderr'])}`);
        if (dice(4) === 0)
            await this.ask('DELETE', `${path}/log`);
    }

    // A follower that leaves in the middle.
    async follow() {
        const stop = new AbortController();
        const headers = { Authorization: `Bearer ${this.cesid.token}` };
        const url = `${this.cesid.url}/api/v1${this.process()}/log/follow`;
        setTimeout(() => stop.abort(), dice(3000));
        try {
            const answer = await fetch(url, { headers, signal: stop.signal });
            assert.notEqual(answer.status, 500);
            for await (const piece of answer.body)
                this.followed += piece.length;
        } catch (error) {
            if (error.name !== 'AbortError')
                throw error;
        }
    }

    async listen() {
        const socket = await this.cesid.socket();
        this.sockets++;
        socket.ws.send(JSON.stringify({ type: 'subscribe', topics: ['fleet', 'operations',
            `node:${this.any()}`, `log:${this.any()}:p0000:p0000:stdout`] }));
        await sleep(Math.random() * 3);
        if (dice(2) === 0)
            socket.ws.terminate();
        else
            socket.ws.close();
        await socket.closed;
        assert.equal(socket.fault, undefined);
    }

    async look() {
        await this.ask('GET', one(['/nodes?limit=1000', '/processes?limit=1000', '/health',
            '/groups', '/environments', '/operations', '/processes/summary']));
        await this.ask('POST', `/nodes/${this.any()}/${one(['refresh', 'check', 'reread'])}`);
    }

    async fail() {
        const from = dice(nodes);
        const range = `${from}-${Math.min(nodes - 1, from + dice(30))}`;
        await this.fakes.fault(range, one(faults));
        if (dice(4) === 0)
            await this.fakes.order(one(['restart', 'drop']), range);
        if (dice(4) === 0)
            await this.fakes.order('set', range, `log_rate=${dice(20)}`);
        await sleep(0.1);
    }

    async repeat(deed) {
        while (!this.over) {
            await this[deed]();
            await sleep(Math.random() * 0.05);
        }
    }

    async rage() {
        const deeds = { reload: 1, addAndRemove: 3, change: 2, operate: 8, batch: 4, readLogs: 4,
            follow: 12, listen: 6, look: 4, fail: 2 };
        setTimeout(() => { this.over = true; }, seconds * 1000);
        await Promise.all(Object.entries(deeds).flatMap(([deed, times]) =>
            Array.from({ length: times }, () => this.repeat(deed).finally(() => {
                this.over = true;
            }))));
    }
}

test('a storm over the whole fleet leaves nothing behind', async () => {
    const fakes = await new Fakes({ nodes, processes: 5, tcp: { first: 26000, count: 100 } }).start();
    const cesid = await new Cesid({
        config: {
            refresh: { interval: 0.5 },
            timeouts: { connect: 1.0, refresh: 1.0, start: 3.0, stop: 3.0, restart: 5.0, log: 2.0,
                batch: 10.0 },
            breaker: { failures: 3, open_min: 0.5, open_max: 2.0 },
            websocket: { rate: 1000.0, burst: 1000 },
            log: { level: 'error' },
        },
    }).start();
    await cesid.login();
    const { pid } = cesid.child;
    await sleep(1);
    const before = kept(pid);
    const storm = new Storm(fakes, cesid);
    await storm.rage();

    await fakes.fault('*', 'none');
    cesid.nodes = storm.configs.slice(0, fromFile);
    cesid.configure();
    expectOk(await cesid.post('/system/reload'));
    await until('all nodes are well again', async () => {
        const { total } = await cesid.get('/nodes?limit=1');
        const up = (await cesid.get('/nodes?state=up&limit=1')).total;
        return up === total - (await cesid.get('/nodes?state=disabled&limit=1')).total;
    }, 30);

    cesid.nodes = [];
    cesid.configure();
    expectOk(await cesid.post('/system/reload'));
    for (const { name } of (await cesid.get('/nodes?limit=1000')).items)
        expectOk(await cesid.api('DELETE', `/nodes/${name}`), 204);
    await until('threads and descriptors are as many as before', () => {
        const now = kept(pid);
        assert.ok(now.threads <= before.threads && now.descriptors.length <= before.descriptors.length,
            `${JSON.stringify(before)}, now ${JSON.stringify(now)}`);
        return true;
    }, 30);
    const took = await cesid.stop();
    await fakes.stop();
    console.log(`# ${JSON.stringify({ ...storm.statuses, sockets: storm.sockets,
        followed: storm.followed, before, stop_seconds: took })}`);
});
