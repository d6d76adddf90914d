import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allows, matchesGlob } from '../../src/dashboard/lib/permissions.js';
import {
    accessParts, nodePath, operationPath, pageRoots, parseRoute, processPath, supervisorLogPath,
} from '../../src/dashboard/lib/routes.js';

test('paths of the page are found again', () => {
    assert.deepEqual(parseRoute(''), { name: 'overview' });
    assert.deepEqual(parseRoute('nodes'), { name: 'nodes' });
    assert.deepEqual(parseRoute(nodePath('web-1')), { name: 'node', node: 'web-1' });
    assert.deepEqual(parseRoute(processPath('web-1', 'web:web_00')),
        { name: 'process', node: 'web-1', process: 'web:web_00' });
    assert.deepEqual(parseRoute('nope'), { name: 'missing' });
    assert.deepEqual(parseRoute('nodes/a/config'), { name: 'config', node: 'a' });
    assert.deepEqual(parseRoute('operations'), { name: 'operations' });
    assert.deepEqual(parseRoute('operations/new'), { name: 'newoperation' });
    assert.deepEqual(parseRoute(operationPath('0ff5')), { name: 'operation', id: '0ff5' });
    assert.deepEqual(parseRoute('access/users'), { name: 'access', part: 'users' });
    assert.deepEqual(parseRoute('access/others'), { name: 'missing' });
    assert.deepEqual(parseRoute('nodes/a/b'), { name: 'missing' });
    assert.deepEqual(parseRoute('nodes/%zz'), { name: 'missing' });
});

test('the server is told where all of the page begins', () => {
    const paths = ['nodes', 'processes', 'operations', 'activity', nodePath('db.example'),
        processPath('a', 'x:run.py'), operationPath('0ff5'), supervisorLogPath('a'),
        ...accessParts.map((part) => `access/${part}`)];
    for (const path of paths) {
        assert.notEqual(parseRoute(path).name, 'missing', path);
        assert.ok(pageRoots.includes(path.split('/')[0]), path);
    }
    assert.equal(parseRoute(nodePath('db.example')).node, 'db.example');
});

test('names are encoded, whatever is in them', () => {
    const id = 'a b:<i>#?&%';
    assert.equal(parseRoute(processPath('n', id)).process, id);
    assert.doesNotMatch(processPath('n', id), /[<>#?& ]/);
});

test('globs match as environments are bound', () => {
    assert.ok(matchesGlob('*', 'anything'));
    assert.ok(matchesGlob('prod*', 'production'));
    assert.ok(!matchesGlob('prod*', 'preprod'));
    assert.ok(!matchesGlob('eu-[ab]', 'eu-a'));
    assert.ok(matchesGlob('eu-[ab]', 'eu-[ab]'));
    assert.ok(matchesGlob('a\\*', 'a*'));
    assert.ok(!matchesGlob('a\\*', 'ab'));
    assert.ok(matchesGlob('a.b', 'a.b'));
    assert.ok(!matchesGlob('a.b', 'axb'));
    assert.ok(matchesGlob('st?ging', 'staging'));
});

test('controls are offered where a binding covers them', () => {
    const bindings = [
        { environment: '*', permissions: ['node:read'] },
        { environment: 'staging', permissions: ['process:control'] },
    ];
    assert.ok(allows(bindings, 'node:read', 'production'));
    assert.ok(allows(bindings, 'process:control', 'staging'));
    assert.ok(!allows(bindings, 'process:control', 'production'));
    assert.ok(allows(bindings, 'process:control'));
    assert.ok(!allows(bindings, 'user:admin'));
    assert.ok(!allows(undefined, 'node:read'));
});
