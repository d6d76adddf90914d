// Bundles the page and writes it as a C file: node src/dashboard/build.mjs OUT.c
//
// The same sources give the same bytes. See include/cesid/assets.h for what the server finds there.
// With --folder the files are also written there as they are, to look at them; with --licenses the
// licences of the packages that are in the bundle.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { pageRoots } from './lib/routes.js';

const here = dirname(fileURLToPath(import.meta.url));
const [out, option, place] = process.argv.slice(2);
if (!out || (option && (!['--folder', '--licenses'].includes(option) || !place))) {
    console.error('usage: build.mjs OUT.c [--folder FOLDER | --licenses FILE]');
    process.exit(2);
}

const types = {
    css: 'text/css; charset=utf-8',
    html: 'text/html; charset=utf-8',
    js: 'text/javascript; charset=utf-8',
    svg: 'image/svg+xml',
};

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

function hashed(name, extension, bytes) {
    return { path: `${name}-${hash(bytes)}.${extension}`, type: types[extension], bytes };
}

async function bundle() {
    const result = await build({
        absWorkingDir: here,
        entryPoints: { app: 'main.jsx' },
        outdir: 'out',
        write: false,
        metafile: true,
        bundle: true,
        minify: true,
        format: 'esm',
        target: ['es2022'],
        jsx: 'automatic',
        jsxImportSource: 'preact',
        legalComments: 'none',
        charset: 'utf8',
        logLevel: 'warning',
    });
    const part = (extension) => {
        const file = result.outputFiles.find(({ path }) => path.endsWith(`.${extension}`));
        return hashed('app', extension, Buffer.from(file.contents));
    };
    return { script: part('js'), style: part('css'), inputs: Object.keys(result.metafile.inputs) };
}

// Of every package that a file of came from: its name, version and licence.
function licenses(inputs) {
    const packages = inputs.map((input) =>
        /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(resolve(here, input))).filter(Boolean);
    const found = new Map(packages.map(([, folder, name]) => [name, folder]));
    return [...found].sort().map(([name, folder]) => {
        const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json')));
        const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'].map((each) => join(folder, each))
            .find((each) => existsSync(each));
        return `${name} ${version} (${license})\n\n${readFileSync(file, 'utf8').trim()}\n`;
    }).join('\n\n');
}

function index(links) {
    let html = readFileSync(join(here, 'index.html'), 'utf8');
    for (const [marker, { path }] of Object.entries(links))
        html = html.replace(`{{${marker}}}`, path);
    return { path: 'index.html', type: types.html, bytes: Buffer.from(html) };
}

// Arrays, not string literals: those are limited to 4095 bytes by ISO C.
function array(name, bytes) {
    const rows = [];
    for (let at = 0; at < bytes.length; at += 24)
        rows.push('    ' + Array.from(bytes.subarray(at, at + 24)).join(',') + ',');
    return `static const unsigned char ${name}[${bytes.length}] = {\n${rows.join('\n')}\n};\n`;
}

function render(assets) {
    const arrays = [];
    const entries = [];
    assets.forEach(({ path, type, bytes }, number) => {
        const gzip = path === 'index.html' ? null : gzipSync(bytes, { level: 9 });
        const smaller = gzip && gzip.length < bytes.length;
        arrays.push(array(`data_${number}`, bytes));
        if (smaller) arrays.push(array(`gzip_${number}`, gzip));
        entries.push(
            `    {"${path}", "${type}", data_${number}, ${bytes.length}, ` +
                (smaller ? `gzip_${number}, ${gzip.length}` : 'NULL, 0') +
                `, "\\"${hash(bytes)}\\""},\n`,
        );
    });
    return (
        '/* Made by src/dashboard/build.mjs. */\n#include "cesid/assets.h"\n\n' +
        arrays.join('\n') +
        `\nconst struct asset assets[] = {\n${entries.join('')}};\n` +
        `const size_t assets_count = ${assets.length};\n` +
        `const char *const asset_pages[] = {"${pageRoots.join('", "')}", NULL};\n`
    );
}

const { script, style, inputs } = await bundle();
const favicon = hashed('favicon', 'svg', readFileSync(join(here, 'favicon.svg')));
const assets = [script, style, favicon, index({ script, style, favicon })].sort((a, b) =>
    a.path < b.path ? -1 : 1,
);

mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, render(assets));
if (option === '--licenses') writeFileSync(place, licenses(inputs));
if (option === '--folder') {
    mkdirSync(place, { recursive: true });
    for (const { path, bytes } of assets) writeFileSync(join(place, path), bytes);
}
