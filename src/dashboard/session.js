// Who is signed in, and what they may do.
import { batch, signal } from '@preact/signals';
import { Problem, apiPath, get, onUnauthenticated, post, setCsrfToken } from './api.js';
import { allows, allowsEverywhere } from './lib/permissions.js';

// 'unknown' until the server has been asked, 'out', 'in', or 'unreachable'.
export const phase = signal('unknown');
export const user = signal(null);
export const bindings = signal([]);
export const expiresAt = signal(null);
export const endedBecause = signal(''); // shown on the login page
export const startProblem = signal(null);

export const can = (permission, environment) => allows(bindings.value, permission, environment);
export const canEverywhere = (permission) => allowsEverywhere(bindings.value, permission);

function leave(because) {
    setCsrfToken(null);
    batch(() => {
        phase.value = 'out';
        user.value = null;
        bindings.value = [];
        endedBecause.value = because;
    });
}

onUnauthenticated(() => {
    if (phase.value === 'in')
        leave('Your session has ended. Sign in to go on where you were.');
});

// Asks who this is; false when the server could not be asked.
export async function refreshSession() {
    try {
        const me = await get(apiPath('auth', 'me'), undefined, { quiet: true });
        setCsrfToken(me.csrf_token);
        batch(() => {
            user.value = me.user;
            bindings.value = me.permissions;
            expiresAt.value = me.expires_at ?? null;
            startProblem.value = null;
            phase.value = 'in';
        });
        return true;
    } catch (problem) {
        if (problem instanceof Problem && problem.status === 401) {
            leave(phase.value === 'in' ? 'Your session has ended. Sign in to go on where you were.'
                : '');
            return true;
        }
        startProblem.value = problem;
        if (phase.value !== 'in')
            phase.value = 'unreachable';
        return false;
    }
}

export async function login(username, password) {
    const answer = await post(apiPath('auth', 'login'), { username, password, cookie: true },
        { quiet: true });
    setCsrfToken(answer.csrf_token);
    endedBecause.value = '';
    if (!await refreshSession())
        throw startProblem.value;
    if (phase.value !== 'in')
        throw new Problem({ title: 'Not signed in', detail: 'The server accepted the password, ' +
            'but the browser did not keep its cookie. Are cookies allowed for this address?' });
}

export async function logout() {
    try {
        await post(apiPath('auth', 'logout'), undefined, { quiet: true });
    } catch (problem) {
        if (problem.status !== 401)
            throw problem;
    }
    leave('');
}
