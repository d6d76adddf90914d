// Fake supervisord nodes: one program of tests/fake plays all of them and misbehaves on order. The
// orders are in tests/fake/control.c.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, makeDirectory } from './system.mjs';
import { until, within } from './wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const program = process.env.CESID_FAKE ?? join(root, 'build/fake/fake-supervisord');

export class Fakes {
    // tcp: { first, count } for ports; else unix sockets. names: the number in the first one's name.
    constructor({ nodes = 1, processes = 4, groupSize = 1, tcp, auth, names = 0 } = {}) {
        Object.assign(this, { nodes, processes, groupSize, tcp, auth, names });
        this.directory = makeDirectory();
        this.waiting = [];
    }

    async start() {
        assert.ok(existsSync(program), `no ${program}: make fake`);
        const where = this.tcp ? ['--tcp', `${this.tcp.first}:${this.tcp.count}`]
            : ['--unix', this.directory];
        this.child = new Child(program, ['--nodes', this.nodes, '--processes', this.processes,
            '--group-size', this.groupSize, ...where, ...(this.auth ? ['--auth', this.auth] : [])]
            .map(String));
        await until('the fakes listen', () => {
            assert.ok(this.child.running, this.child.stderr);
            return this.child.stdout.includes('\n');
        });
        this.control = net.connect(JSON.parse(this.child.stdout).control, '127.0.0.1');
        let text = '';
        this.control.setEncoding('utf8').on('data', (more) => {
            text += more;
            for (let end; (end = text.indexOf('\n')) >= 0; text = text.slice(end + 1))
                this.waiting.shift()?.(JSON.parse(text.slice(0, end)));
        });
        this.control.on('error', () => {});
        return this;
    }

    // One order, its answer.
    async order(...words) {
        const answer = new Promise((resolve) => this.waiting.push(resolve));
        this.control.write(`${words.join(' ')}\n`);
        const found = await within(`an answer to ${words.join(' ')}`, answer);
        assert.equal(found.error, undefined, words.join(' '));
        return found;
    }

    async fault(nodes, kind, ...words) {
        return await this.order('fault', nodes, kind, ...words);
    }

    url(i) {
        if (!this.tcp)
            return `unix://${join(this.directory, `${i}.sock`)}`;
        return `http://127.0.${Math.floor(i / this.tcp.count)}.1:` +
            `${this.tcp.first + i % this.tcp.count}/RPC2`;
    }

    name(i) {
        return `n${String(this.names + i).padStart(5, '0')}`;
    }

    // All of them, for cesid's configuration.
    configs(extra = {}) {
        const login = this.auth ? { username: this.auth.split(':')[0],
            password: this.auth.split(':')[1] } : {};
        return Array.from({ length: this.nodes }, (unused, i) => ({
            name: this.name(i), environment: 'test', url: this.url(i), ...login, ...extra,
        }));
    }

    async stop() {
        if (!this.child?.running)
            return;
        this.control.end('quit\n');
        const { code, signal } = await within('the end of the fakes', this.child.exited);
        assert.equal(code, 0, `${signal} ${this.child.stderr}`);
    }
}
