// The page of metrics, read as strictly as Prometheus does: every sample below its family's TYPE,
// once, histograms cumulative and whole.
import assert from 'node:assert/strict';
import { runToEnd } from './system.mjs';

const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (NaN|[+-]Inf|[-+0-9.e]+)$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;

function labelsOf(text) {
    const labels = {};
    for (label.lastIndex = 0; label.lastIndex < text.length;) {
        const at = label.lastIndex;
        const found = label.exec(text);
        assert.ok(found, `labels ${text} at ${at}`);
        assert.ok(!(found[1] in labels), text);
        labels[found[1]] = found[2].replace(/\\(.)/g, (all, c) => (c === 'n' ? '\n' : c));
    }
    return labels;
}

function checkHistogram(name, samples) {
    const series = new Map();
    for (const { name: part, labels: { le, ...rest }, value } of samples) {
        const key = JSON.stringify(rest);
        const all = series.get(key) ?? { buckets: [] };
        series.set(key, all);
        if (part === `${name}_bucket`)
            all.buckets.push([le, value]);
        else
            all[part.slice(name.length + 1)] = value;
    }
    for (const [key, { buckets, sum, count }] of series) {
        const what = `${name} ${key}`;
        const bounds = buckets.map(([le]) => (le === '+Inf' ? Infinity : Number(le)));
        for (let i = 1; i < buckets.length; i++) {
            assert.ok(bounds[i - 1] < bounds[i], what);
            assert.ok(buckets[i - 1][1] <= buckets[i][1], what);
        }
        assert.equal(bounds.at(-1), Infinity, what);
        assert.equal(buckets.at(-1)[1], count, what);
        assert.ok(sum >= 0, what);
    }
}

export class Metrics {
    constructor(text) {
        this.text = text;
        this.families = new Map();
        assert.ok(text.endsWith('\n'));
        let family;
        for (const line of text.slice(0, -1).split('\n')) {
            const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
            if (kind === 'HELP') {
                assert.ok(!this.families.has(name), `${name} comes twice`);
                family = { name, help: rest, samples: [] };
                this.families.set(name, family);
            } else if (kind === 'TYPE') {
                assert.equal(name, family.name);
                family.type = rest;
            } else {
                const found = sample.exec(line);
                assert.ok(found, line);
                const own = family.type === 'histogram'
                    ? ['_bucket', '_sum', '_count'].map((end) => family.name + end)
                    : [family.name];
                assert.ok(own.includes(found[1]), `${line} below ${family.name}`);
                family.samples.push({
                    name: found[1], labels: labelsOf((found[2] ?? '{}').slice(1, -1)),
                    value: Number(found[3].replace('Inf', 'Infinity')),
                });
            }
        }
        for (const { name, type, samples } of this.families.values()) {
            const keys = samples.map((s) => s.name + JSON.stringify(Object.entries(s.labels).sort()));
            assert.equal(new Set(keys).size, keys.length, `${name} has a series twice`);
            if (type === 'histogram')
                checkHistogram(name, samples);
            if (type === 'counter')
                assert.ok(name.endsWith('_total') && samples.every((s) => s.value >= 0), name);
        }
    }

    // Samples of that name whose labels are at least these.
    all(name, labels = {}) {
        const family = this.families.get(name) ??
            this.families.get(name.replace(/_(bucket|sum|count)$/, ''));
        assert.ok(family, `no family ${name}`);
        return family.samples.filter((s) => s.name === name &&
            Object.entries(labels).every(([key, value]) => s.labels[key] === value));
    }

    // The sum of their values; none is 0.
    value(name, labels = {}) {
        return this.all(name, labels).reduce((sum, s) => sum + s.value, 0);
    }
}

export async function scrape(cesid, headers = {}) {
    const answer = await cesid.request('GET', '/metrics', { token: null, headers });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
    return new Metrics(answer.text);
}

export async function promtool(args, input) {
    const { code, stdout, stderr } = await runToEnd('promtool', args, { input });
    assert.equal(code, 0, stdout + stderr);
    return stdout;
}
