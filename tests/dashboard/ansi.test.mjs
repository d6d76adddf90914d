import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainLine, stripAnsi } from '../../src/dashboard/lib/ansi.js';

test('plain text stays as it is, tabs and all', () => {
    assert.equal(stripAnsi('a\tb <b>c</b> ünïcode 🙂'), 'a\tb <b>c</b> ünïcode 🙂');
});

test('colours and cursor movements go', () => {
    assert.equal(stripAnsi('\x1b[1;31mred\x1b[0m and \x1b[38;5;12mblue\x1b[m'), 'red and blue');
    assert.equal(stripAnsi('\x1b[2K\x1b[1Gdone'), 'done');
    assert.equal(stripAnsi('\x9b31mC1 form'), 'C1 form');
});

test('titles, links and other strings go with what is in them', () => {
    assert.equal(stripAnsi('\x1b]0;title\x07text'), 'text');
    assert.equal(stripAnsi('\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\'), 'link');
    assert.equal(stripAnsi('\x1bPdata\x1b\\after'), 'after');
    assert.equal(stripAnsi('\x1b(Bcharset\x1b7'), 'charset');
});

test('a sequence that has no end goes too, and nothing before it', () => {
    assert.equal(stripAnsi('text\x1b'), 'text');
    assert.equal(stripAnsi('text\x1b[31'), 'text');
    assert.equal(stripAnsi('text\x1b]0;half a title'), 'text');
});

test('R9.5 control characters never reach the page', () => {
    assert.equal(stripAnsi('a\x00b\x07c\x08d\x7fe\x85f'), 'abcdef');
    let all = '';
    for (let code = 0; code < 0x100; code++)
        all += String.fromCharCode(code);
    assert.doesNotMatch(stripAnsi(all), /[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
});

test('what a carriage return overwrote is gone', () => {
    assert.equal(plainLine('10%\r50%\r100%'), '100%');
    assert.equal(plainLine('windows line\r'), 'windows line');
    assert.equal(plainLine('10%\r100%\r'), '100%');
    assert.equal(plainLine(''), '');
    assert.equal(plainLine('\r'), '');
});

test('a long run of escape starts takes no time worth mentioning', () => {
    const started = performance.now();
    stripAnsi('\x1b]'.repeat(200_000));
    stripAnsi('\x1bP'.repeat(200_000));
    stripAnsi('\x1b['.repeat(200_000));
    assert.ok(performance.now() - started < 2000);
});
