import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder;

const build = (name) => {
    const out = join(folder, `${name}.c`);
    execFileSync(process.execPath, [join(root, 'src/dashboard/build.mjs'), out, '--folder',
        join(folder, name)]);
    return readFileSync(out, 'utf8');
};

before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cesid-dashboard-'));
});
after(() => rmSync(folder, { recursive: true }));

test('the same sources give the same bytes, which the compiler accepts', () => {
    const first = build('first');
    assert.equal(build('second'), first);
    execFileSync(process.env.CC ?? 'cc', ['-std=gnu17', '-Wall', '-Wextra', '-Wpedantic', '-Werror',
        '-fsyntax-only', `-I${join(root, 'include')}`, join(folder, 'first.c')]);
});

test('the page works under a strict policy and any base path', () => {
    const html = readFileSync(join(folder, 'first/index.html'), 'utf8');
    assert.equal(html.split('{{base_path}}').length, 2);
    assert.ok(html.indexOf('<base href="{{base_path}}">') < html.indexOf('<link'));
    assert.doesNotMatch(html, /<style|style=|\son\w+=|<script(?![^>]* src=)[^>]*>/);
    const links = [...html.matchAll(/(?:href|src)="([^"{]+)"/g)].map(([, link]) => link);
    assert.equal(links.length, 3);
    for (const link of links) {
        assert.match(link, /^(app|favicon)-[0-9a-f]{16}\.(js|css|svg)$/);
        assert.ok(readdirSync(join(folder, 'first')).includes(link));
    }
});

test('nothing in the bundle makes code or markup out of text, or asks another host', () => {
    for (const name of readdirSync(join(folder, 'first'))) {
        const text = readFileSync(join(folder, 'first', name), 'utf8');
        assert.doesNotMatch(text, /\beval\(|new Function\(|document\.write|insertAdjacentHTML/);
        if (name.endsWith('.css'))
            assert.doesNotMatch(text, /@import|url\(/);
    }
});
