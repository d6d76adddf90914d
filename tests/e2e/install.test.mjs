// What `make install` puts where, and that each piece of it is good for what it is there for.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { binary, run } from './lib/cesid.mjs';
import { Installed, root } from './lib/install.mjs';
import { makeDirectory, runToEnd } from './lib/system.mjs';

const files = (directory, below = '') => readdirSync(join(directory, below), { withFileTypes: true })
    .flatMap((entry) => entry.isDirectory() ? files(directory, join(below, entry.name))
        : [join(below, entry.name)]).sort();

test('a packager gets every file below DESTDIR, and uninstall leaves only the configuration', async () => {
    const tree = await Installed.make({ variables: ['DESTDIR=TREE', 'PREFIX=/usr'] });
    const pages = readdirSync(join(root, 'man')).map((page) =>
        `usr/share/man/man${page.at(-1)}/${page}`);
    const found = files(tree.directory);
    for (const file of [...pages, 'etc/cesid/cesid.conf', 'etc/cesid/nodes.conf', 'etc/init.d/cesid',
        'etc/logrotate.d/cesid', 'usr/lib/systemd/system/cesid.service', 'usr/sbin/cesid',
        'usr/share/bash-completion/completions/cesid'])
        assert.ok(found.includes(file), file);
    assert.equal(found.filter((file) => file.startsWith('usr/share/man')).length, pages.length);
    for (const file of found)
        if (!file.startsWith('usr/s'))
            assert.ok(!tree.read(file).includes(tree.directory), `${file} names DESTDIR`);
    assert.equal(statSync(tree.at('etc/cesid/cesid.conf')).mode & 0o777, 0o640);
    assert.equal(statSync(tree.at('etc/init.d/cesid')).mode & 0o777, 0o755);

    // What somebody wrote is kept.
    writeFileSync(tree.at('etc/cesid/cesid.conf'), '# mine\n');
    for (const target of ['install', 'uninstall']) {
        const { code, stderr } = await runToEnd('make', ['-s', target, `DESTDIR=${tree.directory}`,
            'PREFIX=/usr', `BUILD=${join(binary, '..')}`], { cwd: root, seconds: 60 });
        assert.equal(code, 0, stderr);
        assert.equal(tree.read('etc/cesid/cesid.conf'), '# mine\n');
    }
    assert.deepEqual(files(tree.directory), ['etc/cesid/cesid.conf', 'etc/cesid/nodes.conf']);
});

test('the installed configuration is the defaults with a user and a log file', async () => {
    const tree = await Installed.make({ variables: ['DESTDIR=TREE', 'PREFIX=/usr'] });
    const sample = readFileSync(join(root, 'conf/cesid.conf'), 'utf8').split('\n');
    const installed = tree.read('etc/cesid/cesid.conf').split('\n');
    assert.equal(installed.length, sample.length);
    const changed = installed.filter((line, number) => line !== sample[number])
        .map((line) => line.replace(/\s+#.*/, '').trim());
    assert.deepEqual(changed, ['user = "cesid";', 'file = "/var/log/cesid/cesid.log";']);
    // Both are good as they stand, and so is the sample of nodes without its comment signs.
    tree.configure((text) => text.replace('user = "cesid"', 'user = "nobody"'));
    writeFileSync(tree.at('etc/cesid/nodes.conf'), tree.read('etc/cesid/nodes.conf')
        .replace(/^#(nodes = \(|\);|  \S.*|    \S.*)$/gm, '$1').replace(/^\s*#.*$/gm, ''));
    writeFileSync(tree.at('etc/cesid/web-1.secret'), 'hush\n', { mode: 0o600 });
    writeFileSync(tree.at('etc/cesid/ca.pem'), '');
    const good = await runToEnd(binary, ['-t', '-c', tree.at('etc/cesid/cesid.conf')],
        { env: { ...process.env, CESID_DB_PASSWORD: 'hush' } });
    assert.equal(good.code, 0, good.stderr);
});

// The words that bash offers for a command line.
async function complete(...words) {
    const { code, stdout, stderr } = await runToEnd('bash', ['-c', `
        source ${join(root, 'conf/cesid.bash-completion')}
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        compopt() { :; }
        [ "$(complete -p cesid)" = 'complete -F _cesid cesid' ] || exit 1
        _cesid
        printf '%s\\n' "\${COMPREPLY[@]}"`, 'bash', ...words]);
    assert.equal(code, 0, stderr);
    return stdout.split('\n').filter(Boolean);
}

test('bash completes every flag of the option table, their arguments, and nothing else', async () => {
    const { stdout } = await run('--help');
    const flags = [...stdout.matchAll(/^ {2}(?:(-\w), | {4})(--[\w-]+)/gm)]
        .flatMap(([, letter, name]) => letter ? [letter, name] : [name]);
    assert.ok(flags.length >= 16);
    assert.deepEqual((await complete('cesid', '-')).sort(), flags.sort());
    assert.deepEqual(await complete('cesid', '--ver'), ['--verify-activity', '--version']);
    assert.deepEqual(await complete('cesid', '-l', ''), ['debug', 'info', 'warning', 'error']);
    assert.deepEqual(await complete('cesid', '-l', 'd'), ['debug']);
    assert.deepEqual(await complete('cesid', '--create-admin', ''), []);
    const directory = makeDirectory();
    writeFileSync(join(directory, 'with space.conf'), '');
    for (const flag of ['-c', '--config', '-p', '--pidfile'])
        assert.deepEqual(await complete('cesid', flag, join(directory, 'w')),
            [join(directory, 'with space.conf')]);
});

test('systemd finds nothing wrong with the unit, and calls its sandbox good', async () => {
    const tree = await Installed.make({ variables: ['DESTDIR=TREE', 'PREFIX=/usr'] });
    const unit = tree.at('usr/lib/systemd/system/cesid.service');
    // The program that the unit names has to be there to be verified.
    writeFileSync(tree.at('cesid.service'),
        tree.read('usr/lib/systemd/system/cesid.service').replaceAll('/usr/sbin/cesid', binary));
    const verified = await runToEnd('systemd-analyze', ['verify', '--man=no', tree.at('cesid.service')]);
    assert.equal(verified.stderr.replace(/.*not found.*systemd.*\n/g, ''), '');
    assert.equal(verified.code, 0);
    const { code, stdout } = await runToEnd('systemd-analyze',
        ['security', '--offline=true', '--threshold=15', unit]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /Overall exposure level for cesid\.service: 1\.\d OK/);
});

test('logrotate takes the snippet as it stands', async () => {
    const tree = await Installed.make({ variables: ['DESTDIR=TREE', 'PREFIX=/usr'] });
    const text = tree.read('etc/logrotate.d/cesid');
    assert.match(text, /su cesid cesid/);
    writeFileSync(tree.at('snippet'), text.replaceAll('cesid cesid', 'root root'));
    const { code, stderr } = await runToEnd('logrotate', ['--debug', '--state', tree.at('state'),
        tree.at('snippet')]);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /^error:/m);
    assert.ok(!existsSync(tree.at('state')));
});
