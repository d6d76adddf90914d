// Directories, ports and children of a test, all of them gone when the test's process is.
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { slow, until, within } from './wait.mjs';

const children = new Set();
const directories = new Set();

export function makeDirectory() {
    const directory = mkdtempSync(join(tmpdir(), 'cesid-test-'));
    directories.add(directory);
    return directory;
}

// Whether it can be had at that port; then it is had.
async function binds(socket, bind) {
    return await new Promise((resolve) => {
        socket.once('listening', () => resolve(true));
        socket.once('error', () => resolve(false));
        bind();
    });
}

// Below the ports that the system gives to connections, so that it stays free until it is taken. UDP's
// port of that number is kept until this process ends: no other test takes it meanwhile.
export async function freePort() {
    for (;;) {
        const port = 10000 + Math.floor(Math.random() * 22000);
        const mark = dgram.createSocket('udp4').unref();
        if (!await binds(mark, () => mark.bind({ port, address: '127.0.0.1', exclusive: true })))
            continue;
        const server = net.createServer();
        if (await binds(server, () => server.listen(port, '127.0.0.1'))) {
            await new Promise((resolve) => server.close(resolve));
            return port;
        }
        mark.close();
    }
}

export async function reachable(where) {
    return await new Promise((resolve) => {
        const socket = net.connect(where);
        socket.once('connect', () => { socket.destroy(); resolve(true); });
        socket.once('error', () => resolve(false));
    });
}

function childrenOf(pid) {
    try {
        return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
            .filter(Boolean).map(Number);
    } catch {
        return [];
    }
}

export function signal(pid, name) {
    try {
        process.kill(pid, name);
        return true;
    } catch {
        return false;
    }
}

function killTree(pid) {
    const below = childrenOf(pid);
    signal(pid, 'SIGKILL');
    below.forEach(killTree);
}

// A program with its output: { pid, stdout, stderr, exited: promise of { code, signal } }.
export class Child {
    constructor(command, args, options = {}) {
        this.stdout = '';
        this.stderr = '';
        this.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
        this.pid = this.process.pid;
        this.process.stdin?.on('error', () => {});
        this.process.stdout?.setEncoding('utf8').on('data', (text) => { this.stdout += text; });
        this.process.stderr?.setEncoding('utf8').on('data', (text) => { this.stderr += text; });
        this.exited = new Promise((resolve, reject) => {
            this.process.once('error', reject);
            // 'close' comes when the output has been read too.
            this.process.once('close', (code, name) => {
                children.delete(this);
                this.done = { code, signal: name };
                resolve(this.done);
            });
        });
        this.exited.catch(() => {});
        children.add(this);
    }

    get running() {
        return this.process.exitCode === null && this.process.signalCode === null;
    }

    async stop(name = 'SIGTERM', seconds = 15) {
        if (this.running) {
            signal(this.pid, 'SIGCONT');
            signal(this.pid, name);
        }
        try {
            return await within(`the end of ${this.process.spawnfile}`, this.exited, seconds);
        } catch (error) {
            killTree(this.pid);
            throw error;
        }
    }

    kill() {
        killTree(this.pid);
    }
}

export async function runToEnd(command, args, options = {}) {
    const { input, seconds = 20, ...rest } = options;
    const child = new Child(command, args, rest);
    child.process.stdin.end(input ?? '');
    try {
        const { code } = await within(() => `${command} ${args.join(' ')}: ${child.stderr}`,
            child.exited, seconds);
        return { code, stdout: child.stdout, stderr: child.stderr };
    } finally {
        child.kill();
    }
}

export async function gone(pid) {
    await until(`process ${pid} is gone`, () => !existsSync(`/proc/${pid}`));
}

// What a failed test left running would keep this process from ending.
after(() => {
    setTimeout(() => children.forEach((child) => child.kill()), 10_000 * slow).unref();
});
process.on('exit', () => {
    for (const child of children)
        killTree(child.pid);
    for (const directory of directories)
        rmSync(directory, { recursive: true, force: true });
});
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'])
    process.on(name, () => process.exit(1));
