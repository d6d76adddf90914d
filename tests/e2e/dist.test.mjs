// The source tarball: the same bytes for everybody, and nothing but a compiler needed to build it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dist, expectRun, sha, version, withoutNpm } from './lib/dist.mjs';
import { root } from './lib/install.mjs';
import { makeDirectory } from './lib/system.mjs';

test('the tarball is the same, whenever, wherever and by whom it is made', async () => {
    const directory = makeDirectory();
    const first = await dist(root, join(directory, 'one'));
    const second = await expectRun('bash', ['-c', 'umask 077; TZ=Asia/Tokyo LC_ALL=C ' +
        'scripts/dist "$1"', 'bash', join(directory, 'two')]);
    assert.equal(second.split(' ')[0], sha(first));
    // From another place, without git and without npm.
    await expectRun('tar', ['-xzf', first, '-C', directory]);
    const tree = join(directory, `cesid-${version}`);
    assert.ok(!existsSync(join(tree, '.git')) && !existsSync(join(tree, 'node_modules')));
    assert.equal(sha(await dist(tree, join(directory, 'three'), { PATH: withoutNpm(directory) })),
        sha(first));

    const names = (await expectRun('tar', ['-tzf', first])).trim().split('\n');
    assert.ok(names.every((name) => name.startsWith(`cesid-${version}/`)));
    for (const name of ['prebuilt/assets.c', 'prebuilt/LICENSES', 'prebuilt/REVISION', 'LICENSE',
        'package-lock.json', 'src/dashboard/main.jsx', 'man/cesid.8', 'debian/control'])
        assert.ok(names.includes(`cesid-${version}/${name}`), name);
    const licenses = readFileSync(join(tree, 'prebuilt/LICENSES'), 'utf8');
    for (const name of ['preact', '@preact/signals', '@tanstack/virtual-core'])
        assert.match(licenses, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(MIT\\)$`, 'm'));
    const owners = await expectRun('tar', ['-tvzf', first, '--numeric-owner']);
    assert.ok(owners.trim().split('\n').every((line) => /^[-d]rw[-x]r-[-x]r-[-x] 0\/0 /.test(line)));
});

test('the tarball builds without git and npm, and knows what it was made from', async () => {
    const directory = makeDirectory();
    const tarball = await dist(root, directory);
    await expectRun('tar', ['-xzf', tarball, '-C', directory]);
    const tree = join(directory, `cesid-${version}`);
    const env = { ...process.env, PATH: withoutNpm(directory) };
    // Those two hold what is different; the compiler's part is the same as in any other build.
    await expectRun('make', ['build/gen/version.h', 'build/gen/assets.c'], { cwd: tree, env });
    const revision = readFileSync(join(tree, 'prebuilt/REVISION'), 'utf8').trim();
    assert.match(revision, /^[0-9a-f]{12}(-changed)?$/);
    assert.match(readFileSync(join(tree, 'build/gen/version.h'), 'utf8'),
        new RegExp(`CESID_REVISION "${revision}"`));
    const built = join(root, 'build/gen/assets.c');
    if (existsSync(built))
        assert.equal(sha(join(tree, 'build/gen/assets.c')), sha(built));
});
