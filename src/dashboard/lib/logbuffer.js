// Lines of one log, bounded, put together from pieces by their byte offsets.
//
// Pieces come from two sides: a read of the tail over HTTP (offsets exact), and messages. Their
// text is already decoded, bytes that were not UTF-8 as U+FFFD, so that a piece's length in bytes
// is only known when none of those is in it. Between a read and the first message after it the two
// overlap and are cut to fit; from message to message the server's offsets are taken as they are.
import { plainLine } from './ansi.js';

const encoder = new TextEncoder();

export const byteLength = (text) => encoder.encode(text).length;

// text without its first `count` bytes; never splits a character.
export function dropBytes(text, count) {
    let at = 0;
    while (count > 0 && at < text.length) {
        const point = text.codePointAt(at);
        count -= point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        at += point < 0x10000 ? 1 : 2;
    }
    return text.slice(at);
}

export class LogBuffer {
    lines = []; // {id, text} or {id, mark}
    partial = ''; // the last line, while it has no end yet
    next = null; // offset of the byte after what is here; null: nothing read yet
    sure = 0; // the log was at least this long: next may be past its end after U+FFFD
    dropped = 0; // lines that went because of the bound
    #id = 0;
    #last = null; // the message before, {offset, length, exact}

    constructor({ maxLines = 5000, maxLine = 8192 } = {}) {
        this.maxLines = maxLines;
        this.maxLine = maxLine;
    }

    // The answer of GET …/log.
    read({ data, offset, next }) {
        if (this.next !== null && offset > this.next)
            this.mark('gap', offset - this.next);
        // A tail starts anywhere in a line: only whole lines are shown.
        const cut = this.next === null && offset > 0 ? data.indexOf('\n') + 1 : 0;
        this.#append(data.slice(cut));
        this.next = this.sure = next;
        this.#last = null;
    }

    // How many bytes are missing before that message, when only a read can fill them in.
    missing({ offset, skipped }) {
        if (this.next === null || this.#last !== null || skipped > 0)
            return 0;
        return Math.max(0, offset - this.next);
    }

    // A message of the log's topic. Returns whether anything is new.
    message({ offset, data, skipped = 0 }) {
        const length = byteLength(data);
        const exact = !data.includes('\ufffd');
        const end = offset + length;
        let text = data;
        if (this.#last !== null) {
            const known = this.#last.offset + this.#last.length;
            if (offset < this.#last.offset) {
                this.mark('restarted');
            } else if (skipped > 0) {
                this.mark('skipped', skipped);
            } else if (offset > known && this.#last.exact) {
                this.mark('gap', offset - known);
            } else if (offset < known && this.#last.exact) {
                text = dropBytes(text, known - offset);
            }
        } else if (this.next !== null) {
            if (skipped > 0 && offset > this.next)
                this.mark('skipped', Math.min(skipped, offset - this.next));
            else if (offset > this.next)
                this.mark('gap', offset - this.next);
            else if (end <= this.next)
                return false;
            else
                text = dropBytes(text, this.next - offset);
        } else if (skipped > 0) {
            this.mark('skipped', skipped);
        }
        this.#last = { offset, length, exact };
        this.next = end;
        this.sure = exact ? end : offset;
        this.#append(text);
        return text !== '';
    }

    // A message without text: the log goes on at that offset. Before what is here it is another one.
    goesOn({ offset }) {
        if (offset < this.sure || (offset === 0 && this.next > 0))
            this.restart();
    }

    // A line of ours among the log's: 'gap' and 'skipped' (with bytes), 'restarted', 'cleared'.
    mark(kind, bytes = 0) {
        this.#flushPartial();
        const last = this.lines.at(-1);
        if (last?.mark?.kind === kind)
            this.lines[this.lines.length - 1] =
                { id: last.id, mark: { kind, bytes: last.mark.bytes + bytes } };
        else
            this.lines.push({ id: this.#id++, mark: { kind, bytes } });
    }

    // After a lost connection: the next message may repeat what is here.
    interrupt() {
        this.#last = null;
    }

    // The log is another one now (cleared, rotated): what is shown stays, offsets start anew.
    restart(kind = 'restarted') {
        this.mark(kind);
        this.next = null;
        this.sure = 0;
        this.#last = null;
    }

    // Empties the view; what comes next still fits.
    clear() {
        this.lines = [];
        this.partial = '';
        this.dropped = 0;
    }

    #flushPartial() {
        if (this.partial !== '')
            this.#push(this.partial);
        this.partial = '';
    }

    #push(line) {
        const text = plainLine(line);
        this.lines.push({ id: this.#id++, text: text.length > this.maxLine
            ? `${text.slice(0, this.maxLine)} … (${text.length - this.maxLine} more characters)`
            : text });
    }

    #append(text) {
        if (text === '')
            return;
        const pieces = (this.partial + text).split('\n');
        this.partial = pieces.pop();
        const excess = pieces.length - this.maxLines;
        if (excess > 0) {
            pieces.splice(0, excess);
            this.dropped += excess;
        }
        for (const line of pieces)
            this.#push(line);
        while (this.partial.length > 4 * this.maxLine) {
            this.#push(this.partial.slice(0, this.maxLine));
            this.partial = this.partial.slice(this.maxLine);
        }
        const over = this.lines.length - this.maxLines;
        if (over > 0) {
            this.lines.splice(0, over);
            this.dropped += over;
        }
    }
}
