// What the user may do, from the bindings of GET /auth/me. The server decides; this only keeps
// controls from being offered that it would refuse.

function globExpression(glob) {
    let source = '';
    for (let at = 0; at < glob.length; at++) {
        const c = glob[at];
        const close = c === '[' ? glob.indexOf(']', at + 2) : -1;
        if (c === '*') {
            source += '.*';
        } else if (c === '?') {
            source += '.';
        } else if (close > 0) {
            const inside = glob.slice(at + 1, close).replace(/^!/, '^').replace(/[\\\]]/g, '\\$&');
            source += `[${inside}]`;
            at = close;
        } else {
            source += c.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
        }
    }
    return new RegExp(`^${source}$`, 's');
}

export function matchesGlob(glob, name) {
    return glob === '*' || glob === name || globExpression(glob).test(name);
}

// environment undefined: in any environment at all.
export function allows(bindings, permission, environment) {
    return (bindings ?? []).some((binding) => binding.permissions.includes(permission) &&
        (environment === undefined || matchesGlob(binding.environment, environment)));
}
