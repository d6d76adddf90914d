// Makes log text safe and plain to look at: escape sequences and control characters go, tabs stay.

// CSI, OSC (ended by BEL or ST), other string sequences (DCS, SOS, PM, APC), and two-byte escapes;
// also their one-byte C1 forms. A sequence that the text ends in the middle of goes too.
const ESCAPES = new RegExp([
    '(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*(?:[@-~]|$)',
    '(?:\\x1b\\]|\\x9d)[^\\x07\\x1b\\x9c]*(?:\\x07|\\x1b\\\\|\\x9c|$)',
    '(?:\\x1b[PX^_]|[\\x90\\x98\\x9e\\x9f])[^\\x1b\\x9c]*(?:\\x1b\\\\|\\x9c|$)',
    '\\x1b[ -/]*(?:[0-~]|$)',
].join('|'), 'g');
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const SUSPECT = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

export function stripAnsi(text) {
    return SUSPECT.test(text) ? text.replace(ESCAPES, '').replace(CONTROLS, '') : text;
}

// One line as a terminal would leave it: what a carriage return overwrote is gone (progress bars).
export function plainLine(line) {
    const end = line.endsWith('\r') ? line.length - 1 : line.length;
    return stripAnsi(line.slice(line.lastIndexOf('\r', end - 1) + 1, end));
}
