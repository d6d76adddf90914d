// Numbers and times as words. All take and give plain values; times are milliseconds.
const numbers = new Intl.NumberFormat('en');

export const count = (value) => numbers.format(value ?? 0);

export const plural = (value, one, many = `${one}s`) =>
    `${count(value)} ${value === 1 ? one : many}`;

// "4 s", "3 min", "5 h 12 min", "12 d": coarse, for glancing at.
export function span(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    if (seconds < 60)
        return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60)
        return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48)
        return minutes % 60 === 0 || hours >= 10 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
    return `${Math.floor(hours / 24)} d`;
}

export const ago = (milliseconds) =>
    (milliseconds < 1000 ? 'just now' : `${span(milliseconds)} ago`);

// Of an RFC 3339 time; NaN when there is none.
export const instant = (time) => (time ? Date.parse(time) : NaN);

export function duration(seconds) {
    if (!(seconds >= 0))
        return '';
    if (seconds < 0.0995)
        return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
    return seconds < 9.95 ? `${seconds.toFixed(1)} s` : span(seconds * 1000);
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value) {
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
        value /= 1024;
        unit++;
    }
    if (unit === 0)
        return plural(value, 'byte');
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// Local date and time, with the zone, for tooltips and facts.
const moments = new Intl.DateTimeFormat('en-GB', {
    year: 'numeric', month: 'short', day: '2-digit',
    hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
});

export function moment(time) {
    const at = instant(time);
    return Number.isNaN(at) ? '' : moments.format(at);
}

const clocks = new Intl.DateTimeFormat('en-GB',
    { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const days = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' });

// Local time of day, with the day unless it is today's.
export function clock(time, now = Date.now()) {
    const at = instant(time);
    if (Number.isNaN(at))
        return '';
    const same = new Date(at).toDateString() === new Date(now).toDateString();
    return same ? clocks.format(at) : `${days.format(at)} ${clocks.format(at)}`;
}

// What the age of a node's data is: an age in milliseconds, or null when it never answered. While
// messages arrive, a node that is up was heard of at the latest message, because its loss would
// have been one.
export function dataAge(node, contact, now) {
    const read = instant(node.last_refresh);
    const known = node.state === 'up' ? Math.max(read || 0, contact || 0) : read;
    return known > 0 ? Math.max(0, now - known) : null;
}
