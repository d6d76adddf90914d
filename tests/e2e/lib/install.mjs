// cesid as `make install` leaves it, in a directory of the test's own: the same files as on a
// machine, with this tree's places in them. It runs as nobody.
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { binary } from './cesid.mjs';
import { makeDirectory, runToEnd } from './system.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const isRoot = process.getuid() === 0;

async function id(flag) {
    return (await runToEnd('id', [flag, 'nobody'])).stdout.trim();
}

export class Installed {
    static async make({ variables = [] } = {}) {
        const tree = new Installed();
        tree.directory = makeDirectory();
        chmodSync(tree.directory, 0o755);
        const places = variables.length > 0 ? variables : [`PREFIX=${tree.at('usr')}`,
            `SYSCONFDIR=${tree.at('etc')}`, `LOCALSTATEDIR=${tree.at('var')}`,
            `RUNDIR=${tree.at('run')}`];
        const { code, stderr } = await runToEnd('make', ['-s', 'install',
            `BUILD=${dirname(resolve(binary))}`, ...places.map((place) =>
                place.replace('TREE', tree.directory))], { cwd: root, seconds: 60 });
        assert.equal(code, 0, stderr);
        return tree;
    }

    at(...parts) {
        return join(this.directory, ...parts);
    }

    read(...parts) {
        return readFileSync(this.at(...parts), 'utf8');
    }

    // Its configuration, changed by a function of text, and nobody instead of a user cesid.
    async settle(change) {
        const [uid, gid] = await Promise.all(['-u', '-g'].map(id));
        const group = await id('-gn');
        for (const place of ['var', 'var/lib', 'var/log', 'run'])
            mkdirSync(this.at(place), { recursive: true, mode: 0o755 });
        this.configure((text) => change(text.replace('user = "cesid";', 'user = "nobody";')));
        writeFileSync(this.at('etc/logrotate.d/cesid'), this.read('etc/logrotate.d/cesid')
            .replaceAll('cesid cesid', `nobody ${group}`));
        mkdirSync(this.at('etc/default'));
        writeFileSync(this.at('etc/default/cesid'), 'RUN_AS=nobody\n');
        for (const file of ['etc/cesid', 'etc/cesid/cesid.conf', 'etc/cesid/nodes.conf'])
            chownSync(this.at(file), 0, Number(gid));
        Object.assign(this, { uid: Number(uid), gid: Number(gid), group });
    }

    configure(change) {
        writeFileSync(this.at('etc/cesid/cesid.conf'), change(this.read('etc/cesid/cesid.conf')));
    }

    async init(action, { as, env = {}, seconds = 60 } = {}) {
        const script = this.at('etc/init.d/cesid');
        const command = as ? ['setpriv', '--reuid', as, '--regid', this.group, '--clear-groups',
            script] : [script];
        return await runToEnd(command[0], [...command.slice(1), ...(action ? [action] : [])],
            { seconds, env: { ...process.env, ...env }, cwd: '/' });
    }
}
