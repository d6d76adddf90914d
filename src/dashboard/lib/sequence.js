// The server numbers this client's messages without gaps. Whatever is missing was a change that
// this page does not know of, so that what it shows may no longer be true.
export class Sequence {
    #last = null;

    // 'ok', 'gap' (something is missing before this one) or 'repeat' (seen already).
    next(seq) {
        if (!Number.isSafeInteger(seq))
            return 'gap';
        const last = this.#last;
        if (last !== null && seq <= last)
            return 'repeat';
        this.#last = seq;
        return last === null || seq === last + 1 ? 'ok' : 'gap';
    }

    reset() {
        this.#last = null;
    }
}
