// The server under test: its configuration, its life, and the ways to talk to it. The program is
// CESID_BIN, by default build/cesid. With CESID_TEST_MARIADB, a port, each has a new database there
// instead of an SQLite file.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectOk, request } from './http.mjs';
import { Mariadb } from './mariadb.mjs';
import { Socket } from './socket.mjs';
import { Child, freePort, makeDirectory, runToEnd, signal } from './system.mjs';
import { until } from './wait.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const binary = process.env.CESID_BIN ?? join(root, 'build/cesid');

const sanitizerReport =
    /ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:/;

function libconfig(value, depth = 0) {
    const indent = '  '.repeat(depth + 1);
    if (Array.isArray(value)) {
        if (value.some((item) => typeof item === 'object'))
            return `(${value.map((item) => libconfig(item, depth)).join(', ')})`;
        return `[${value.map((item) => libconfig(item)).join(', ')}]`;
    }
    if (typeof value === 'object')
        return `{\n${Object.entries(value)
            .map(([key, item]) => `${indent}${key} = ${libconfig(item, depth + 1)};\n`)
            .join('')}${'  '.repeat(depth)}}`;
    return JSON.stringify(value);
}

export function configText(config) {
    return Object.entries(config).map(([key, value]) => `${key} = ${libconfig(value)};\n`).join('');
}

// What a supervisord looks like in the configuration.
export function nodeConfig(supervisord, extra = {}) {
    const { name, url, username, password } = supervisord;
    return { name, url, environment: 'test', ...(username ? { username, password } : {}), ...extra };
}

export class Cesid {
    // nodes: as in the configuration. config: sections that differ from the harness's own.
    constructor({ nodes = [], config = {} } = {}) {
        this.directory = makeDirectory();
        this.state = join(this.directory, 'state');
        this.file = join(this.directory, 'cesid.conf');
        this.nodes = nodes;
        this.config = config;
    }

    configure() {
        const own = {
            server: {
                listen: `127.0.0.1:${this.port}`, state_dir: this.state,
                connections_per_address: 1000,
            },
            store: this.store ?? { path: join(this.state, 'cesid.db') },
            auth: { login_attempts: 100 },
            refresh: { interval: 1.0 },
        };
        const names = new Set([...Object.keys(own), ...Object.keys(this.config)]);
        const merged = {};
        for (const name of names)
            merged[name] = { ...own[name], ...this.config[name] };
        merged.nodes = this.nodes;
        writeFileSync(this.file, configText(merged), { mode: 0o600 });
    }

    async start() {
        this.port ??= await freePort();
        this.url = `http://127.0.0.1:${this.port}`;
        if (process.env.CESID_TEST_MARIADB)
            this.store ??= await Mariadb.at(Number(process.env.CESID_TEST_MARIADB)).store();
        this.configure();
        mkdirSync(this.state, { recursive: true, mode: 0o700 });
        this.child = new Child(this.program ?? binary, ['-c', this.file]);
        await until('cesid is ready', async () => !this.child.running ||
            (await request(this.url, 'GET', '/readyz')).status === 200, 15);
        if (!this.child.running)
            throw new Error(`it ended, ${JSON.stringify(this.child.done)}: ${this.log}`);
        return this;
    }

    get log() {
        return this.child.stderr;
    }

    // SIGTERM; the exit status must be 0 and no sanitizer may have anything to say. Returns the
    // seconds it took.
    async stop() {
        if (!this.child || this.stopped)
            return 0;
        this.stopped = true;
        const begin = performance.now();
        const { code, signal: name } = await this.child.stop('SIGTERM', 15);
        const took = (performance.now() - begin) / 1000;
        const found = this.log.search(sanitizerReport);
        assert.equal(found, -1, this.log.slice(Math.max(0, found)).slice(0, 12000));
        assert.equal(code, 0, `exit ${code ?? name}: ${this.log.slice(-4000)}`);
        return took;
    }

    signal(name) {
        signal(this.child.pid, name);
    }

    get adminPassword() {
        return readFileSync(join(this.state, 'initial-admin-password'), 'utf8').trim();
    }

    // The answer as it comes. token: another than the one of login(), or null for none.
    async request(method, path, { token, headers = {}, ...rest } = {}) {
        const bearer = token === undefined ? this.token : token;
        return await request(this.url, method, path, {
            headers: bearer ? { Authorization: `Bearer ${bearer}`, ...headers } : headers, ...rest,
        });
    }

    async api(method, path, options) {
        return await this.request(method, `/api/v1${path}`, options);
    }

    // The body of an answer that must be a success.
    async get(path, status = 200) {
        return expectOk(await this.api('GET', path), status);
    }

    async post(path, body, options = {}) {
        return await this.api('POST', path, { body, ...options });
    }

    async login(username = 'admin', password = this.adminPassword) {
        const session = expectOk(await this.post('/auth/login', { username, password },
            { token: null }));
        this.token = session.token;
        return session;
    }

    async node(name) {
        return await this.get(`/nodes/${name}`);
    }

    async process(node, id) {
        return await this.get(`/nodes/${node}/processes/${encodeURIComponent(id)}`);
    }

    async nodeIs(name, state, seconds = 10) {
        return await until(`${name} is ${state}`, async () => {
            const node = await this.node(name);
            if (node.state !== state)
                throw new Error(`it is ${node.state} (${node.cause})`);
            return node;
        }, seconds);
    }

    async processIs(node, id, state, seconds = 10) {
        return await until(`${node}/${id} is ${state}`, async () => {
            const process = await this.process(node, id);
            if (process.state !== state)
                throw new Error(`it is ${process.state}`);
            return process;
        }, seconds);
    }

    async socket({ token = this.token, headers = {}, path = '/api/v1/ws' } = {}) {
        const socket = new Socket(`ws://127.0.0.1:${this.port}${path}`,
            token ? { Authorization: `Bearer ${token}`, ...headers } : headers);
        await socket.opened;
        return socket;
    }

    // curl -N on a stream: a Child, whose stdout grows.
    follow(path, ...options) {
        return new Child('curl', ['-sSN', '-H', `Authorization: Bearer ${this.token}`, ...options,
            `${this.url}/api/v1${path}`]);
    }
}

export async function run(...args) {
    return await runToEnd(binary, args);
}

export const isBuilt = existsSync(binary);
