// Debian's nginx and stunnel with the samples of conf/: only ports, names of files and the user
// they run as are changed. And a certificate for them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { binary, Cesid, nodeConfig } from './cesid.mjs';
import { expectOk, request } from './http.mjs';
import { root } from './install.mjs';
import { Child, freePort, makeDirectory, reachable, runToEnd } from './system.mjs';
import { until } from './wait.mjs';

export const hostname = 'localhost';

async function certificate(directory) {
    const key = join(directory, 'key.pem'), cert = join(directory, 'cert.pem');
    const made = await runToEnd('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert]);
    assert.equal(made.code, 0, made.stderr);
    return { key, cert, ca: readFileSync(cert) };
}

// The sample's text with each [what, instead] exchanged; one that is not there is a mistake here.
function adapt(name, changes) {
    let text = readFileSync(join(root, 'conf', name), 'utf8');
    for (const [what, instead] of changes) {
        assert.ok(text.includes(what), `${name} has no '${what}'`);
        text = text.replaceAll(what, instead);
    }
    return text;
}

// The lines of cesid.conf that a sample asks for in its comment.
export function asked(name) {
    return readFileSync(join(root, 'conf', name), 'utf8').split('\n')
        .filter((line) => /^[#;] {5}/.test(line)).map((line) => line.slice(6)).join('\n');
}

class Proxy {
    get url() {
        return `https://${hostname}:${this.port}`;
    }

    // For request() and Socket.
    via(extra = {}) {
        return { ca: this.ca, servername: hostname, family: 4, ...extra };
    }

    async #listens(port) {
        await until(`${this.child.process.spawnfile} listens`, async () => {
            if (!this.child.running)
                throw new Error(`it ended: ${this.child.stdout}${this.child.stderr}`);
            return await reachable({ host: '127.0.0.1', port });
        });
    }

    async run(command, args) {
        this.child = new Child(command, args, { cwd: this.directory });
        await this.#listens(this.port);
        return this;
    }

    async stop() {
        await this.child?.stop();
    }
}

export class Nginx extends Proxy {
    // cesid listens on that port, below /cesid.
    async start(cesidPort) {
        this.directory = makeDirectory();
        [this.port, this.plainPort] = [await freePort(), await freePort()];
        const { key, cert, ca } = await certificate(this.directory);
        this.ca = ca;
        writeFileSync(join(this.directory, 'cesid.conf'), adapt('nginx.conf', [
            ['listen 80;', `listen 127.0.0.1:${this.plainPort};`],
            ['listen 443 ssl', `listen 127.0.0.1:${this.port} ssl`],
            ['https://$host$request_uri', `https://$host:${this.port}$request_uri`],
            ['server_name cesid.example', `server_name ${hostname}`],
            ['/etc/ssl/certs/cesid.example.pem', cert],
            ['/etc/ssl/private/cesid.example.key', key],
            ['127.0.0.1:9080', `127.0.0.1:${cesidPort}`],
        ]));
        const place = (name) => `${name}_temp_path ${join(this.directory, name)};`;
        writeFileSync(join(this.directory, 'nginx.conf'), `
            daemon off;
            ${process.getuid() === 0 ? 'user root;' : ''}
            worker_processes 2;
            pid ${join(this.directory, 'nginx.pid')};
            error_log stderr;
            events { worker_connections 256; }
            http {
                access_log off;
                gzip on; # as in Debian's nginx.conf
                ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(place).join('\n')}
                include cesid.conf;
            }`);
        const arguments_ = ['-p', this.directory, '-c', join(this.directory, 'nginx.conf'),
            '-e', 'stderr'];
        const checked = await runToEnd('/usr/sbin/nginx', ['-t', ...arguments_]);
        assert.equal(checked.code, 0, checked.stderr);
        assert.doesNotMatch(checked.stderr, /\[(warn|error)\]/);
        return await this.run('/usr/sbin/nginx', arguments_);
    }
}

export class Stunnel extends Proxy {
    async start(cesidPort) {
        this.directory = makeDirectory();
        this.port = await freePort();
        const { key, cert, ca } = await certificate(this.directory);
        this.ca = ca;
        const file = join(this.directory, 'cesid.conf');
        writeFileSync(file, adapt('stunnel.conf', [
            ['setuid = stunnel4\n', ''],
            ['setgid = stunnel4\n', ''],
            ['accept = 9443', `accept = 127.0.0.1:${this.port}`],
            ['127.0.0.1:9080', `127.0.0.1:${cesidPort}`],
            ['/etc/ssl/certs/cesid.example.pem', cert],
            ['/etc/ssl/private/cesid.example.key', key],
        ]));
        return await this.run('stunnel4', [file]);
    }
}

// A cesid behind that proxy and below that path, with one node, and a browser's session in it.
export async function behind(proxy, node, base, server, config = {}) {
    const port = await freePort();
    await proxy.start(port);
    const cesid = new Cesid({ nodes: [nodeConfig(node)], config: {
        ...config,
        server: { listen: `127.0.0.1:${port}`, public_url: proxy.url, ...server },
    } });
    cesid.port = port;
    cesid.url = `http://127.0.0.1:${port}`;
    cesid.configure();
    cesid.child = new Child(binary, ['-c', cesid.file]);
    await until('cesid is ready', async () =>
        (await request(cesid.url, 'GET', `${base}/readyz`)).status === 200, 15);
    const ask = (method, path, { via, ...options } = {}) => request(proxy.url, method,
        `${base}${path}`, { via: proxy.via(via), ...options });
    const answer = await ask('POST', '/api/v1/auth/login', { body: { username: 'admin',
        password: cesid.adminPassword, cookie: true } });
    const { csrf_token } = expectOk(answer);
    const setCookie = answer.headers['set-cookie'][0];
    const session = { Cookie: setCookie.split(';')[0], 'X-CSRF-Token': csrf_token,
        Origin: proxy.url };
    const get = async (path) => expectOk(await ask('GET', `/api/v1${path}`, { headers: session }));
    await until('the node is up', async () => (await get('/nodes')).items[0].state === 'up');
    return { proxy, base, cesid, ask, session, setCookie, get };
}
