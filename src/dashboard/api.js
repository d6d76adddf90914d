// Requests to cesid's API. Every failure is a Problem, whether the server said so or nothing came.
export const base = new URL(document.baseURI).pathname;
export const apiPath = (...segments) =>
    `${base}api/v1/${segments.map(encodeURIComponent).join('/')}`;

export class Problem extends Error {
    constructor(fields) {
        super(fields.detail || fields.title || 'Something went wrong');
        Object.assign(this, { status: 0, code: 'unknown', title: '', detail: '', requestId: null,
            errors: [], fault: null, retryAfter: null, body: null }, fields);
    }

    // Nothing was answered: there is no telling whether the request took effect.
    get isNetwork() {
        return this.status === 0;
    }
}

// Kept in memory only: a reload gets it anew from GET /auth/me.
let csrfToken = null;
let unauthenticated = () => {};

export function setCsrfToken(token) {
    csrfToken = token;
}

// What to do when an answer says that the session is over.
export function onUnauthenticated(callback) {
    unauthenticated = callback;
}

function unreachable(error) {
    if (error.name === 'AbortError')
        throw error;
    return new Problem({ code: 'network', title: 'No answer',
        detail: 'cesid did not answer. It may be restarting, or the network is down.' });
}

async function problemOf(response) {
    let body = {};
    try {
        body = await response.json();
    } catch {
        // a proxy's page, or nothing
    }
    const after = Number(response.headers.get('Retry-After'));
    return new Problem({
        status: response.status,
        code: body.code ?? `http_${response.status}`,
        title: body.title ?? response.statusText,
        detail: body.detail ?? `The server answered with status ${response.status}.`,
        requestId: body.request_id ?? response.headers.get('X-Request-ID'),
        errors: body.errors ?? [],
        fault: body.fault ?? null,
        body,
        retryAfter: Number.isFinite(after) && after > 0 ? after : null,
    });
}

export async function request(method, path, { query, body, headers, signal, quiet } = {}) {
    const url = new URL(path, location.origin);
    for (const [key, value] of Object.entries(query ?? {}))
        if (value !== undefined && value !== null && value !== '')
            url.searchParams.set(key, value);
    const init = { method, signal, headers: { Accept: 'application/json', ...headers },
        credentials: 'same-origin', cache: 'no-store' };
    if (body !== undefined) {
        init.body = JSON.stringify(body);
        init.headers['Content-Type'] = 'application/json';
    }
    if (method !== 'GET' && csrfToken)
        init.headers['X-CSRF-Token'] = csrfToken;

    let response;
    try {
        response = await fetch(url, init);
    } catch (error) {
        throw unreachable(error);
    }
    if (!response.ok) {
        const problem = await problemOf(response);
        // A wrong old password ends no session.
        if (response.status === 401 && !quiet && problem.code !== 'invalid_credentials')
            unauthenticated();
        throw problem;
    }
    if (response.status === 204)
        return null;
    try {
        return await response.json();
    } catch (error) {
        throw unreachable(error);
    }
}

export const get = (path, query, options) => request('GET', path, { query, ...options });
export const post = (path, body, options) => request('POST', path, { body, ...options });

// Every item of a paged list, up to a bound.
export async function getAll(path, query, { signal, most = 10000 } = {}) {
    const items = [];
    let cursor;
    do {
        const page = await get(path, { ...query, limit: 1000, cursor }, { signal });
        items.push(...page.items);
        cursor = page.next;
    } while (cursor && items.length < most);
    return items;
}
