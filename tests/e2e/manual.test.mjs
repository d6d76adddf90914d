// cesid-api(7): its examples are run as they stand, one after the other, against a cesid with real
// supervisord; and it has every route, and no other.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { root } from './lib/install.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { makeDirectory, runToEnd } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const page = readFileSync(join(root, 'man/cesid-api.7'), 'utf8').split('\n');

// What a reader sees for a line between .Bd and .Ed.
const shown = (line) => line.replaceAll('\\e', '\\').replaceAll('\\(dq', '"').replace(/^\\&/, '');

// [{ title, text }]: the literal displays, with the heading that they stand below.
function examples() {
    const found = [];
    let title, lines;
    for (const line of page) {
        if (/^\.S[hs] /.test(line))
            title = line.slice(4);
        else if (line.startsWith('.Bd -literal'))
            lines = [];
        else if (line === '.Ed' && lines) {
            found.push({ title, text: lines.map(shown).join('\n') });
            lines = undefined;
        } else if (lines)
            lines.push(line);
    }
    return found;
}

let cesid, nodes, directory;
before(async () => {
    const { cat, ticker, sleeper } = programs;
    nodes = [
        new Supervisord({ name: 'shop', programs: { orders: { ...ticker,
            command: `/bin/sh -c 'i=0; while sleep 0.2; do i=$((i+1)); echo "order $i"; ` +
                `echo "late" >&2; done'` }, console: cat } }),
        new Supervisord({ name: 'office', programs: { wiki: sleeper } }),
        new Supervisord({ name: 'store', programs: { scales: sleeper } }),
    ];
    await Promise.all(nodes.map((node) => node.start()));
    cesid = await new Cesid({ nodes: nodes.map((node) => nodeConfig(node,
        { environment: 'production', labels: { role: 'web' } })) }).start();
    await cesid.login();
    await until('the nodes are up', async () => (await cesid.get('/nodes?state=up')).total === 3);
    directory = makeDirectory();
    // An answer that is no success fails; what never ends must say something, and then may go.
    writeFileSync(join(directory, 'curl'), `#!/bin/bash
        case " $* " in
        *" -sN "*)
            said=$(timeout 3 /usr/bin/curl --fail-with-body "$@" | dd bs=64k count=1 status=none |
                tr -d '\\0')
            printf '%s\\n' "$said"
            [ -n "$said" ] ;;
        *) exec /usr/bin/curl --fail-with-body "$@" ;;
        esac`);
    chmodSync(join(directory, 'curl'), 0o755);
});

after(async () => {
    await cesid?.stop();
    nodes?.forEach((node) => node.child?.kill());
});

test('every example of cesid-api(7) works when it is pasted', async () => {
    const all = examples();
    assert.ok(all.length > 20);
    // One shell for all of them. A mark before each says how far it came.
    const script = all.map(({ title, text }, number) =>
        `printf '\\n==%s\\n' "${number} ${title.replace(/["`$\\]/g, '')}"\n${text}`).join('\n')
        .replaceAll('http://127.0.0.1:9080', cesid.url)
        .replaceAll('/var/lib/cesid/', `${cesid.state}/`) + '\nprintf \'\\n==%s\' "$PASSWORD"';
    const { code, stdout, stderr } = await runToEnd('bash', ['--norc', '-e', '-o', 'pipefail', '-c',
        script], { cwd: directory, seconds: 60,
        env: { ...process.env, PATH: `${directory}:${process.env.PATH}` } });
    const marks = stdout.split(/^==/m);
    assert.equal(code, 0, `${marks.at(-1)}\n${stderr}`);
    assert.equal(marks.length - 2, all.length);
    // They did what they say.
    const said = (word) => marks.filter((mark) => mark.includes(word)).join('\n');
    assert.match(said('Which processes failed'), /"items": ?\[/);
    assert.match(said('One process'), /"action": ?"restart"[^]*"succeeded": ?1/);
    assert.match(said('READING LOGS'), /^order \d+$/m);
    assert.match(said('EVENTS'), /event: |data: /);
    assert.match(said('EVENTS'), /"hello"/);
    assert.match(said('Health and figures'), /^ok$|^degraded$/m);
    assert.match(said('Health and figures'), /^cesid_build_info/m);
    assert.match(readFileSync(join(directory, 'orders.log'), 'utf8'), /^order \d+$/m);
    assert.match(readFileSync(join(directory, 'activity.csv'), 'utf8'), /process\.restart/);
    // The session is over.
    await cesid.login('admin', marks.at(-1));
    assert.equal((await cesid.get('/activity?action=auth.logout')).total, 1);
});

test('cesid-api(7) has every route, and no other', async () => {
    const document = (await cesid.request('GET', '/api/v1/openapi.json')).json;
    const routes = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods)
        .filter((method) => ['get', 'post', 'put', 'patch', 'delete'].includes(method))
        .map((method) => `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`));
    const named = page.map((line) => /^\.Li ((?:GET|POST|PUT|PATCH|DELETE) \/\S*)/.exec(line)?.[1])
        .filter(Boolean);
    assert.deepEqual([...new Set(named)].sort(), routes.sort());
});

test('the rendered page shows its examples to the letter', async () => {
    // A quote or a hyphen that groff makes prettier could not be pasted.
    const { code, stdout, stderr } = await runToEnd('man', ['--local-file', 'man/cesid-api.7'],
        { cwd: root, env: { ...process.env, MANWIDTH: '160', LC_ALL: 'C.UTF-8', MANPAGER: 'cat' } });
    assert.equal(code, 0, stderr);
    const rendered = new Set(stdout.split('\n').map((line) => line.trim()));
    for (const { text } of examples())
        for (const line of text.split('\n'))
            assert.ok(rendered.has(line.trim()), line);
});
