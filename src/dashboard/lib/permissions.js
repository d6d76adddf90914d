// What the user may do, from the bindings of GET /auth/me. The server decides; this only keeps
// controls from being offered that it would refuse.

// As the server reads them: * and ?, and a backslash before a character that is meant as it is.
function globExpression(glob) {
    let source = '';
    for (let at = 0; at < glob.length; at++) {
        const c = glob[at];
        if (c === '*')
            source += '.*';
        else if (c === '?')
            source += '.';
        else
            source += (c === '\\' && at + 1 < glob.length ? glob[++at] : c)
                .replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    }
    return new RegExp(`^${source}$`, 'su');
}

export function matchesGlob(glob, name) {
    return glob === '*' || glob === name || globExpression(glob).test(name);
}

// environment undefined: in any environment at all.
export function allows(bindings, permission, environment) {
    return (bindings ?? []).some((binding) => binding.permissions.includes(permission) &&
        (environment === undefined || matchesGlob(binding.environment, environment)));
}

// Rights over cesid itself count only where they hold everywhere.
export const allowsEverywhere = (bindings, permission) => (bindings ?? []).some((binding) =>
    binding.environment === '*' && binding.permissions.includes(permission));

// All there are, with what they let one do.
export const permissionWords = {
    'node:read': 'see nodes',
    'node:write': 'add, change and delete nodes',
    'node:control': 'reread, update, restart supervisords',
    'process:read': 'see processes',
    'process:control': 'start, stop, signal processes',
    'log:read': 'read logs',
    'activity:read': 'see who did what',
    'user:admin': 'administer users',
    'system:admin': 'administer cesid',
};
export const permissionNames = Object.keys(permissionWords);
