// A real supervisord of a test: its configuration, its life, its misbehaviour.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, freePort, makeDirectory, reachable, signal } from './system.mjs';
import { until } from './wait.mjs';

const programDefaults = { startsecs: 0, startretries: 0, autorestart: 'false', stopwaitsecs: 3 };

function section(name, values) {
    return `[${name}]\n` + Object.entries(values)
        .map(([key, value]) => `${key} = ${String(value).replaceAll('%', '%%')}\n`).join('') + '\n';
}

export class Supervisord {
    // listener: 'tcp' or 'unix'. programs: { NAME: { command, … } }, groups: { NAME: [PROGRAM] }.
    constructor({ name, listener = 'tcp', username, password, programs = {}, groups = {} }) {
        Object.assign(this, { name, listener, username, password, programs, groups });
        this.directory = makeDirectory();
        this.socket = join(this.directory, 'supervisor.sock');
    }

    get url() {
        return this.listener === 'unix' ? `unix://${this.socket}`
            : `http://127.0.0.1:${this.port}/RPC2`;
    }

    configure() {
        const login = this.username ? { username: this.username, password: this.password } : {};
        let text = section('supervisord', {
            nodaemon: true, silent: true, directory: this.directory, identifier: this.name,
            logfile: join(this.directory, 'supervisord.log'), loglevel: 'info',
            pidfile: join(this.directory, 'supervisord.pid'),
            childlogdir: join(this.directory, 'logs'), minfds: 256, minprocs: 16,
        });
        text += section('rpcinterface:supervisor', {
            'supervisor.rpcinterface_factory': 'supervisor.rpcinterface:make_main_rpcinterface',
        });
        text += this.listener === 'unix'
            ? section('unix_http_server', { file: this.socket, ...login })
            : section('inet_http_server', { port: `127.0.0.1:${this.port}`, ...login });
        for (const [name, program] of Object.entries(this.programs)) {
            const values = { ...programDefaults, ...program };
            if (values.numprocs > 1)
                values.process_name ??= `${name}_@NUMBER@`;
            text += section(`program:${name}`, values)
                .replaceAll('@NUMBER@', '%(process_num)02d');
        }
        for (const [name, programs] of Object.entries(this.groups))
            text += section(`group:${name}`, { programs: programs.join(',') });
        this.file = join(this.directory, 'supervisord.conf');
        mkdirSync(join(this.directory, 'logs'), { recursive: true });
        writeFileSync(this.file, text, { mode: 0o600 });
    }

    async start() {
        this.port ??= this.listener === 'tcp' ? await freePort() : undefined;
        this.configure();
        this.child = new Child('supervisord', ['-c', this.file], { cwd: this.directory });
        const where = this.listener === 'unix' ? { path: this.socket }
            : { host: '127.0.0.1', port: this.port };
        await until(`supervisord ${this.name} listens`, async () => {
            if (!this.child.running)
                throw new Error(`it ended: ${this.child.stdout}${this.child.stderr}`);
            return await reachable(where);
        }, 20);
        return this;
    }

    async stop() {
        await this.child?.stop();
    }

    async restart() {
        await this.stop();
        await this.start();
    }

    // kill -STOP: it accepts connections from the kernel's backlog and never answers.
    hang() {
        signal(this.child.pid, 'SIGSTOP');
    }

    resume() {
        signal(this.child.pid, 'SIGCONT');
    }
}
