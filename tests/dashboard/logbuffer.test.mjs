import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogBuffer, byteLength, dropBytes } from '../../src/dashboard/lib/logbuffer.js';

// A log that grows, and what the two sides say of it.
class Log {
    bytes = Buffer.alloc(0);

    write(text) {
        const offset = this.bytes.length;
        this.bytes = Buffer.concat([this.bytes, Buffer.from(text)]);
        return { offset, data: text, skipped: 0 };
    }

    read(offset = 0) {
        return { offset, data: this.bytes.subarray(offset).toString(), next: this.bytes.length,
            size: this.bytes.length };
    }

    message(offset) {
        return { offset, data: this.bytes.subarray(offset).toString(), skipped: 0 };
    }
}

const shown = (buffer) => [...buffer.lines.map(({ text, mark }) =>
    (mark ? `<${mark.kind}${mark.bytes ? ` ${mark.bytes}` : ''}>` : text)),
    ...(buffer.partial ? [`${buffer.partial}…`] : [])];

test('bytes are counted and cut at characters', () => {
    assert.equal(byteLength('aä€🙂'), 1 + 2 + 3 + 4);
    assert.equal(dropBytes('aä€🙂b', 1), 'ä€🙂b');
    assert.equal(dropBytes('aä€🙂b', 3), '€🙂b');
    assert.equal(dropBytes('aä€🙂b', 10), 'b');
    assert.equal(dropBytes('abc', 99), '');
});

test('a read and the messages after it become one text', () => {
    const log = new Log();
    const buffer = new LogBuffer();
    log.write('one\ntwo\nhal');
    buffer.read(log.read());
    assert.deepEqual(shown(buffer), ['one', 'two', 'hal…']);
    buffer.message(log.write('f\nthree\n'));
    buffer.message(log.write('four\n'));
    assert.deepEqual(shown(buffer), ['one', 'two', 'half', 'three', 'four']);
});

test('the first message may repeat what was read: it is cut to fit', () => {
    const log = new Log();
    const buffer = new LogBuffer();
    log.write('one\nzwö\n');
    buffer.read(log.read());
    log.write('three\n');
    buffer.message(log.message(4));
    assert.deepEqual(shown(buffer), ['one', 'zwö', 'three']);
});

test('a first message that is old altogether changes nothing', () => {
    const log = new Log();
    const buffer = new LogBuffer();
    log.write('one\ntwo\n');
    buffer.read(log.read());
    assert.equal(buffer.message({ offset: 4, data: 'two\n' }), false);
    buffer.message(log.write('three\n'));
    assert.deepEqual(shown(buffer), ['one', 'two', 'three']);
});

test('what lies between a read and the first message is known to be missing', () => {
    const log = new Log();
    const buffer = new LogBuffer();
    log.write('one\n');
    buffer.read(log.read());
    log.write('two\n');
    const late = log.write('three\n');
    assert.equal(buffer.missing(late), 4);
    buffer.read(log.read(4));
    assert.equal(buffer.missing(late), 0);
    buffer.message(late);
    assert.deepEqual(shown(buffer), ['one', 'two', 'three']);
});

test('a gap that nobody fills in is shown', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: 'one\n', next: 4 });
    buffer.message({ offset: 10, data: 'three\n' });
    buffer.message({ offset: 20, data: 'five\n' });
    assert.deepEqual(shown(buffer), ['one', '<gap 6>', 'three', '<gap 4>', 'five']);
});

test('what the server skipped is shown with its size, once in a row', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: 'one\n', next: 4 });
    buffer.message({ offset: 104, data: 'two\n', skipped: 100 });
    buffer.message({ offset: 208, data: 'three\n', skipped: 100 });
    assert.deepEqual(shown(buffer), ['one', '<skipped 100>', 'two', '<skipped 100>', 'three']);
    buffer.mark('skipped', 1);
    buffer.mark('skipped', 2);
    assert.deepEqual(shown(buffer).at(-1), '<skipped 3>');
});

test('bytes that were not UTF-8 do not shift what comes after them', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: '', next: 0 });
    // Two bad bytes: four characters here, four bytes there, but counted as eight.
    buffer.message({ offset: 0, data: '\ufffd\ufffda\n' });
    buffer.message({ offset: 4, data: 'next\n' });
    assert.deepEqual(shown(buffer), ['\ufffd\ufffda', 'next']);
    assert.equal(buffer.sure, 9);
});

test('a rotated or cleared log starts anew, and says so', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: 'old\n', next: 4 });
    buffer.message({ offset: 4, data: 'older\n' });
    buffer.message({ offset: 0, data: 'new\n' });
    buffer.message({ offset: 4, data: 'newer\n' });
    assert.deepEqual(shown(buffer), ['old', 'older', '<restarted>', 'new', 'newer']);
});

test('a short log that is another one now is told from its repetition', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: 'old one\nold two\n', next: 16 });
    buffer.goesOn({ offset: 16, data: '', skipped: 0 });
    assert.deepEqual(shown(buffer), ['old one', 'old two']);
    buffer.goesOn({ offset: 0, data: '', skipped: 0 });
    buffer.message({ offset: 0, data: 'new one\n' });
    buffer.message({ offset: 8, data: 'new two\n' });
    assert.deepEqual(shown(buffer),
        ['old one', 'old two', '<restarted>', 'new one', 'new two']);
});

test('after a lost connection the next message may repeat', () => {
    const log = new Log();
    const buffer = new LogBuffer();
    buffer.read(log.read());
    buffer.message(log.write('one\n'));
    buffer.message(log.write('two\n'));
    buffer.interrupt();
    log.write('three\n');
    buffer.message(log.message(0));
    assert.deepEqual(shown(buffer), ['one', 'two', 'three']);
});

test('a tail begins with its first whole line', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 100, data: 'alf a line\nwhole\n', next: 117 });
    assert.deepEqual(shown(buffer), ['whole']);
    const single = new LogBuffer();
    single.read({ offset: 100, data: 'no end of line', next: 114 });
    assert.deepEqual(shown(single), ['no end of line…']);
});

test('lines are bounded, the oldest go, and how many is known', () => {
    const buffer = new LogBuffer({ maxLines: 3 });
    buffer.read({ offset: 0, data: '1\n2\n3\n4\n5\n', next: 10 });
    assert.deepEqual(shown(buffer), ['3', '4', '5']);
    buffer.message({ offset: 10, data: '6\n' });
    assert.deepEqual(shown(buffer), ['4', '5', '6']);
    assert.equal(buffer.dropped, 3);
});

test('a line without an end does not grow for ever', () => {
    const buffer = new LogBuffer({ maxLine: 100 });
    let offset = 0;
    buffer.read({ offset: 0, data: '', next: 0 });
    for (let times = 0; times < 50; times++) {
        buffer.message({ offset, data: 'x'.repeat(100) });
        offset += 100;
    }
    assert.ok(buffer.partial.length <= 400);
    buffer.message({ offset, data: `${'y'.repeat(300)}\n` });
    assert.match(buffer.lines.at(-1).text, /^[xy]{100} … \(\d+ more characters\)$/);
});

test('escape sequences that are split between messages go all the same', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: '', next: 0 });
    buffer.message({ offset: 0, data: 'a\x1b[3' });
    buffer.message({ offset: 4, data: '1mb\x1b[0m\n' });
    assert.deepEqual(shown(buffer), ['ab']);
});

test('clearing the view keeps the place', () => {
    const buffer = new LogBuffer();
    buffer.read({ offset: 0, data: 'one\ntw', next: 6 });
    buffer.clear();
    buffer.message({ offset: 6, data: 'o\nthree\n' });
    assert.deepEqual(shown(buffer), ['o', 'three']);
});

test('ids of lines only grow, so that rows keep their identity', () => {
    const buffer = new LogBuffer({ maxLines: 5 });
    let offset = 0;
    buffer.read({ offset, data: '', next: 0 });
    for (let times = 0; times < 20; times++) {
        buffer.message({ offset, data: 'ab\ncd\n' });
        offset += 6;
    }
    const ids = buffer.lines.map(({ id }) => id);
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
    assert.equal(new Set(ids).size, ids.length);
});
