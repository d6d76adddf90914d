// Small preferences of this browser. Where storage is denied they last as long as the page.
const prefix = 'cesid.';

export function readPreference(key, fallback) {
    try {
        return localStorage.getItem(prefix + key) ?? fallback;
    } catch {
        return fallback;
    }
}

export function writePreference(key, value) {
    try {
        localStorage.setItem(prefix + key, value);
    } catch {
        // denied or full
    }
}
