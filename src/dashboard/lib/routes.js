// Paths of the page, relative to the base path, to routes and back.
//
// The server answers the page only for paths that begin with one of pageRoots; build.mjs tells it
// which these are. All else is 404.

export function pathOf(...segments) {
    return segments.map(encodeURIComponent).join('/').replaceAll('%3A', ':');
}

export const nodePath = (node) => pathOf('nodes', node);
export const processPath = (node, id) => pathOf('nodes', node, 'processes', id);
export const operationPath = (id) => pathOf('operations', id);
export const configPath = (node) => pathOf('nodes', node, 'config');
export const supervisorLogPath = (node) => pathOf('nodes', node, 'log');

const pages = ['nodes', 'processes', 'operations', 'activity', 'system', 'profile'];
export const accessParts = ['users', 'roles', 'bindings'];
export const pageRoots = [...pages, 'access'];

function segmentsOf(path) {
    try {
        return path.split('/').filter((segment) => segment !== '').map(decodeURIComponent);
    } catch {
        return null;
    }
}

// path without the base; always an object with a name.
export function parseRoute(path) {
    const segments = segmentsOf(path);
    if (segments === null)
        return { name: 'missing' };
    const [first, second, third, fourth] = segments;
    const length = segments.length;
    if (length === 0)
        return { name: 'overview' };
    if (length === 1 && pages.includes(first))
        return { name: first };
    if (length === 2 && first === 'operations')
        return second === 'new' ? { name: 'newoperation' } : { name: 'operation', id: second };
    if (length === 2 && first === 'access' && accessParts.includes(second))
        return { name: 'access', part: second };
    if (length === 2 && first === 'nodes')
        return { name: 'node', node: second };
    if (length === 3 && first === 'nodes' && third === 'log')
        return { name: 'supervisorlog', node: second };
    if (length === 3 && first === 'nodes' && third === 'config')
        return { name: 'config', node: second };
    if (length === 4 && first === 'nodes' && third === 'processes')
        return { name: 'process', node: second, process: fourth };
    return { name: 'missing' };
}
