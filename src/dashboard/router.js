// Where the page is: path below the base, and its query, as signals over the history API.
import { batch, computed, signal } from '@preact/signals';
import { base } from './api.js';
import { parseRoute } from './lib/routes.js';

const below = () => (location.pathname.startsWith(base)
    ? location.pathname.slice(base.length) : location.pathname.slice(1));

export const path = signal(below());
export const query = signal(new URLSearchParams(location.search));
export const route = computed(() => parseRoute(path.value));

function follow() {
    batch(() => {
        path.value = below();
        query.value = new URLSearchParams(location.search);
    });
}
addEventListener('popstate', follow);

export const hrefOf = (to) => base + to;

export function navigate(to) {
    history.pushState(null, '', hrefOf(to));
    follow();
    scrollTo(0, 0);
    // The new page speaks for itself to a screen reader; focus left on a gone link would be lost.
    requestAnimationFrame(() => document.getElementById('main')?.focus({ preventScroll: true }));
}

// Filters live in the address, so that a reload or a link keeps them. Empty values are left out.
export function setQuery(changes) {
    const next = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes))
        if (value)
            next.set(key, value);
        else
            next.delete(key);
    const search = next.size ? `?${next}` : '';
    history.replaceState(null, '', location.pathname + search);
    query.value = next;
}
