// Debian's package from its making to its purge, on a machine of its own. It takes its time: part of
// scripts/check --long.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { dist, expectRun, version, withoutNpm } from './lib/dist.mjs';
import { root } from './lib/install.mjs';
import { Machine, possible } from './lib/machine.mjs';
import { makeDirectory } from './lib/system.mjs';

const options = { skip: !possible && 'needs root and namespaces' };
let machine, directory, deb, older;

before(async () => {
    directory = makeDirectory();
    // From the tarball's tree, as somebody does who has no more than that.
    await expectRun('tar', ['-xzf', await dist(root, directory), '-C', directory]);
    await expectRun('scripts/deb', [directory], { cwd: join(directory, `cesid-${version}`),
        seconds: 600, env: { ...process.env, PATH: withoutNpm(directory) } });
    deb = readdirSync(join(directory, 'deb')).find((name) => /^cesid_.*\.deb$/.test(name));
    deb = join(directory, 'deb', deb);

    // The version before: one sentence of its configuration was another.
    const tree = join(directory, 'older');
    await expectRun('dpkg-deb', ['--raw-extract', deb, tree]);
    const control = join(tree, 'DEBIAN/control'), conf = join(tree, 'etc/cesid/cesid.conf');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*/m, 'Version: 0.0.9'));
    writeFileSync(conf, readFileSync(conf, 'utf8').replace('# Configuration of cesid.', '# Older.'));
    older = join(directory, 'older.deb');
    await expectRun('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, older]);
    rmSync(tree, { recursive: true });
    if (!possible)
        return;
    machine = await new Machine().start();
    await machine.bring(deb, 'new.deb');
    await machine.bring(older, 'old.deb');
});

after(() => machine?.stop());

async function expectIn(script, code = 0) {
    const answer = await machine.run(script);
    assert.equal(answer.code, code, `${script}: ${answer.stdout}${answer.stderr}`);
    return answer.stdout + answer.stderr;
}

const pid = async () => (await expectIn('cat /run/cesid/cesid.pid')).trim();
const ready = async () => await expectIn('curl -sf http://127.0.0.1:9080/readyz');

test('lintian finds no errors and no warnings', async () => {
    const changes = readdirSync(join(directory, 'deb')).find((name) => name.endsWith('.changes'));
    const said = await expectRun('lintian', ['--allow-root', '--display-info', '--pedantic',
        '--fail-on', 'error,warning,info', join(directory, 'deb', changes)], { seconds: 120 });
    assert.equal(said.trim(), '');
});

test('installed, it runs at once, as a user of its own, and nobody else reads its files', options,
    async () => {
        await expectIn('dpkg -i /tmp/old.deb');
        await ready();
        assert.match(await expectIn('service cesid status'), /is running/);
        assert.equal((await expectIn(`stat -c %U /proc/$(cat /run/cesid/cesid.pid)`)).trim(), 'cesid');
        assert.match(await expectIn('stat -c "%A %U:%G %n" /etc/cesid /etc/cesid/* /var/lib/cesid ' +
            '/var/lib/cesid/* /var/log/cesid /var/log/cesid/*'), new RegExp([
            'drwxr-x--- root:cesid /etc/cesid', '-rw-r----- root:cesid /etc/cesid/cesid.conf',
            '-rw-r----- root:cesid /etc/cesid/nodes.conf', 'drwx------ cesid:cesid /var/lib/cesid',
            '(-rw------- cesid:cesid /var/lib/cesid/\\S+\n)*-rw------- cesid:cesid \\S+',
            'drwxr-x--- cesid:cesid /var/log/cesid', '-rw-r----- cesid:cesid /var/log/cesid/cesid.log',
        ].map((line) => `${line}\n`).join('')));
        assert.match(await expectIn('getent passwd cesid'), /:\/var\/lib\/cesid:\/usr\/sbin\/nologin$/m);
        await expectIn('man -w cesid && man -w cesid.conf && logrotate --debug /etc/logrotate.d/cesid');
    });

// Signs in with the password of the first start.
const login = `
    curl -sf http://127.0.0.1:9080/api/v1/auth/login -H 'Content-Type: application/json' \\
        -d '{"username":"admin","password":"'"$(cat /var/lib/cesid/initial-admin-password)"'"}'`;

test('an upgrade keeps what was written and what was learnt, and runs the new program', options,
    async () => {
        await expectIn(`echo '# mine' >> /etc/cesid/nodes.conf && chmod 600 /etc/cesid/nodes.conf &&
            chown cesid /etc/cesid/nodes.conf && echo hush > /etc/cesid/web-1.secret`);
        const before = await pid();
        await expectIn('dpkg -i /tmp/new.deb');
        await ready();
        assert.notEqual(await pid(), before);
        assert.match(await expectIn('cat /etc/cesid/cesid.conf'), /# Configuration of cesid\./);
        assert.match(await expectIn('tail -n 1 /etc/cesid/nodes.conf'), /^# mine$/m);
        assert.equal((await expectIn('stat -c "%a %U:%G" /etc/cesid/nodes.conf /etc/cesid/cesid.conf'))
            .trim(), '600 cesid:cesid\n640 root:cesid');
        await expectIn(login);
        await expectIn('dpkg -i /tmp/new.deb'); // once more is no harm
        await ready();
    });

test('removed, it leaves configuration and records; installed again, it has them', options,
    async () => {
        const before = await pid();
        await expectIn('dpkg --remove cesid');
        await expectIn(`test ! -e /usr/sbin/cesid && test ! -d /proc/${before}`);
        await expectIn('test -s /etc/cesid/web-1.secret && test -s /var/lib/cesid/cesid.db');
        await expectIn('/etc/init.d/cesid start', 126); // without its program it may not run
        await expectIn('dpkg -i /tmp/new.deb');
        await ready();
        await expectIn(login);
        assert.match(await expectIn('tail -n 1 /etc/cesid/nodes.conf'), /^# mine$/m);
    });

test('a purge leaves nothing', options, async () => {
    await expectIn('dpkg --purge cesid');
    await expectIn('! getent passwd cesid && ! getent group cesid && ! test -e /run/cesid');
    await expectIn('! pgrep -x cesid');
    const ofDpkg = /^(var\/lib\/dpkg\/|var\/log\/(dpkg\.log|alternatives\.log)|var\/cache\/(man|ldconfig)\/|etc\/(passwd|group|shadow|gshadow|subuid|subgid)-?$|etc\/(ld\.so\.cache|\.pwd\.lock)$|usr\/sbin\/policy-rc\.d$)/;
    const left = (await machine.changes()).filter((name) => !ofDpkg.test(name));
    assert.deepEqual(left, []);
    await expectIn("! grep -rlw cesid /etc /var/lib/systemd /var/lib/dpkg/status --exclude='*-'");
    await expectIn('! ls /var/lib/dpkg/info/cesid.* 2>/dev/null');
});

test('under systemd the package does the same, by its unit', options, async () => {
    const booted = new Machine();
    try {
        await booted.start({ systemd: true });
        const expect = async (script, pattern = /^/) => {
            const { code, stdout, stderr } = await booted.run(script);
            assert.equal(code, 0, `${script}: ${stdout}${stderr}`);
            assert.match(stdout, pattern);
        };
        await booted.bring(deb, 'new.deb');
        await booted.bring(older, 'old.deb');
        const show = 'systemctl show cesid -p ActiveState -p UnitFileState -p MainPID';
        await expect('dpkg -i /tmp/old.deb');
        await expect(show, /ActiveState=active[^]*UnitFileState=enabled/);
        await expect('curl -sf http://127.0.0.1:9080/readyz');
        const { stdout: before } = await booted.run(show);
        await expect('dpkg -i /tmp/new.deb');
        await expect(`[ "$(${show})" != "${before.trim()}" ] && ${show}`, /ActiveState=active/);
        await expect('curl -sf http://127.0.0.1:9080/readyz');
        await expect('service cesid reload && service cesid status', /active \(running\)/);
        await expect('dpkg --purge cesid');
        await expect('! systemctl is-active cesid; ! systemctl cat cesid 2>/dev/null');
        await expect('! ls -d /var/lib/cesid /var/log/cesid /run/cesid /etc/cesid 2>/dev/null');
        await expect("! grep -rlw cesid /etc /var/lib/systemd --exclude='*-'");
    } finally {
        await booted.stop();
    }
});
