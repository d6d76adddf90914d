// A real mariadbd of a test: a data directory of its own, loopback only.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Child, freePort, makeDirectory, runToEnd, signal } from './system.mjs';
import { until } from './wait.mjs';

const password = 'it\'s a "secret"';

let databases = 0;

export class Mariadb {
    // One that another process started: only its databases.
    static at(port) {
        return Object.assign(Object.create(Mariadb.prototype), { port });
    }

    constructor() {
        this.directory = makeDirectory();
        this.data = join(this.directory, 'data');
    }

    // The store section of a cesid with a database of its own.
    async store(extra = {}) {
        const database = `cesid_${process.pid}_${++databases}`;
        await this.sql(`CREATE DATABASE ${database}`);
        return {
            backend: 'mariadb', host: '127.0.0.1', port: this.port, user: 'cesid', password,
            database, ...extra,
        };
    }

    async create() {
        const { code, stderr } = await runToEnd('mariadb-install-db', ['--no-defaults',
            '--user=root', `--datadir=${this.data}`, '--auth-root-authentication-method=normal',
            '--skip-test-db', '--skip-name-resolve'], { seconds: 60 });
        assert.equal(code, 0, stderr);
        await this.start();
        await this.sql('CREATE USER cesid@\'%\' IDENTIFIED BY \'it\'\'s a "secret"\';' +
            'GRANT ALL ON `cesid%`.* TO cesid@\'%\'');
        return this;
    }

    async start() {
        this.port ??= await freePort();
        this.child = new Child('mariadbd', ['--no-defaults', '--user=root',
            `--datadir=${this.data}`, `--socket=${join(this.directory, 'socket')}`,
            `--pid-file=${join(this.directory, 'pid')}`, `--port=${this.port}`,
            '--bind-address=127.0.0.1', '--skip-name-resolve', '--innodb-buffer-pool-size=32M',
            '--performance-schema=OFF']);
        await until('mariadbd answers', async () => {
            if (!this.child.running)
                throw new Error(`it ended: ${this.child.stderr.slice(-2000)}`);
            return await this.number('SELECT 1') === 1;
        }, 60);
        return this;
    }

    // The output, a line a row, columns separated by tabs.
    async sql(text, database = '') {
        const { code, stdout, stderr } = await runToEnd('mariadb', ['--no-defaults', '-h',
            '127.0.0.1', '-P', String(this.port), '-u', 'root', '-N', '-B', database],
        { input: text });
        if (code !== 0)
            throw new Error(stderr);
        return stdout;
    }

    async number(text, database) {
        return Number(await this.sql(text, database));
    }

    // A client that keeps what it holds until it ends.
    hold(text, database) {
        const child = new Child('mariadb', ['--no-defaults', '-h', '127.0.0.1', '-P',
            String(this.port), '-u', 'root', '-N', '-B', '--unbuffered', database]);
        child.process.stdin.write(text);
        return child;
    }

    signal(name) {
        signal(this.child.pid, name);
    }

    async stop(name = 'SIGKILL') {
        if (this.child?.running)
            await this.child.stop(name, 30);
    }
}
