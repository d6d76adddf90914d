// The source tarball, and a PATH to build it with.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './install.mjs';
import { runToEnd } from './system.mjs';

export const version = readFileSync(join(root, 'VERSION'), 'utf8').trim();
export const sha = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

export async function expectRun(command, args, options) {
    const { code, stdout, stderr } = await runToEnd(command, args,
        { cwd: root, seconds: 60, ...options });
    assert.equal(code, 0, `${command} ${args.join(' ')}: ${stdout.slice(-4000)}${stderr}`);
    return stdout;
}

// The tarball of that tree.
export async function dist(tree, out, env = {}) {
    await expectRun('scripts/dist', [out], { cwd: tree, env: { ...process.env, ...env } });
    return join(out, `cesid-${version}.tar.gz`);
}

// A PATH with everything but git, node and npm.
export function withoutNpm(directory) {
    const bin = join(directory, 'bin');
    mkdirSync(bin, { recursive: true });
    for (const name of ['git', 'node', 'npm'])
        writeFileSync(join(bin, name), '#!/bin/sh\nexit 97\n', { mode: 0o755 });
    return `${bin}:${process.env.PATH}`;
}
