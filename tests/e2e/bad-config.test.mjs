// What an administrator gets wrong, one at a time: each mistake has its own message, with file, line
// and key, and exit status 1.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { binary } from './lib/cesid.mjs';
import { makeDirectory, runToEnd } from './lib/system.mjs';

const node = (extra, name = 'x') =>
    `nodes = (\n  { name = "${name}";\n    ${extra} }\n);\n`;
const url = 'url = "http://127.0.0.1:1/RPC2";';
const loginNode = (extra) => node(`${url}\n    username = "u";\n    ${extra}`);

// What is wrong, the text, and line, key and words of the message. DIR is the test's directory.
const mistakes = [
    // The syntax.
    ['a brace that is never closed', 'server: { threads = 8;\n', 1, 'syntax', /not closed/],
    ['a string that never ends', 'log: { level = "info; };\n', 1, 'syntax', /string.*does not end|closed/],
    ['a comment that never ends', 'log: { };\n/* and so on\n', 2, 'syntax', /comment.*does not end|closed/],
    ['no semicolon', 'log: {\n  level = "info"\n  format = = "text"; };\n', 3, 'syntax', /./],
    ['no value', 'auth: { lockout = ; };\n', 1, 'syntax', /./],
    ['bytes that are no text', 'log: { file = "\xff\xfe"; };\n', 1, 'syntax|log\\.file', /UTF-8/],
    ['a key given twice', 'auth: { lockout = 1.0;\n  lockout = 2.0; };\n', 2, 'auth\\.lockout',
        /given twice/],
    ['a group given twice', 'auth: { };\nlog: { };\nauth: { };\n', 3, 'auth', /given twice/],
    // Files.
    ['a file included that is not there', '@include "missing.conf"\n', 1, '@include',
        /cannot open .*missing\.conf/],
    ['a directory included', '@include "DIR"\n', 1, '@include', /not a regular file/],
    ['a file that includes itself', '@include "cesid.conf"\n', 1, '@include', /circle/],
    ['an include without a name', '@include nodes.conf\n', 1, '@include|syntax', /./],
    ['a mistake in an included file', '@include "DIR/included.conf"\n', 2, 'log\\.level',
        /must be debug, info, warning or error/, 'included.conf'],
    // Names.
    ['an unknown group', '\nservers: { };\n', 2, 'servers', /unknown.*did you mean server/],
    ['an unknown key', 'server: { treads = 8; };\n', 1, 'server\\.treads',
        /unknown.*did you mean threads/],
    ['a key that resembles nothing', 'server: { colour = "red"; };\n', 1, 'server\\.colour',
        /unknown/],
    ['a key of another group', 'refresh: { lockout = 2.0; };\n', 1, 'refresh\\.lockout', /unknown/],
    ['an unknown key of a node', node(`${url} adress = "x";`), 3, 'nodes\\[0\\]\\.adress', /unknown/],
    // Types.
    ['a group that is a value', 'server = 5;\n', 1, 'server', /must be a group/],
    ['text for a number', 'server: { threads = "8"; };\n', 1, 'server\\.threads',
        /must be a whole number/],
    ['a fraction for a whole number', 'server: { threads = 8.5; };\n', 1, 'server\\.threads',
        /must be a whole number/],
    ['text for a duration', 'auth: { lockout = "60s"; };\n', 1, 'auth\\.lockout', /must be a number/],
    ['a number for a truth', 'metrics: { enabled = 1; };\n', 1, 'metrics\\.enabled',
        /must be true or false/],
    ['a number for a text', 'log: { file = 5; };\n', 1, 'log\\.file', /must be a string/],
    ['a text for a list', 'websocket: { origins = "https://a"; };\n', 1, 'websocket\\.origins',
        /must be a list of strings/],
    ['nodes that are no list', 'nodes = { name = "x"; };\n', 1, 'nodes', /must be a list of groups/],
    ['a node that is no group', 'nodes = ( "web-1" );\n', 1, 'nodes\\[0\\]', /must be a group/],
    ['labels that are no group', node(`${url} labels = "role=web";`), 3, 'nodes\\[0\\]\\.labels',
        /must be a group/],
    // Ranges.
    ['too few threads', 'server: { threads = 0; };\n', 1, 'server\\.threads', /must be 4 to 1024/],
    ['too many threads', 'server: { threads = 100000; };\n', 1, 'server\\.threads', /must be 4 to 1024/],
    ['a number beyond all numbers', 'server: { threads = 99999999999; };\n', 1, 'server\\.threads',
        /must be 4 to 1024/],
    ['a negative time', 'refresh: { interval = -1.0; };\n', 1, 'refresh\\.interval',
        /must be 0\.1 to 3600/],
    ['a day of retention too few', 'activity: { retention_days = 0; };\n', 1,
        'activity\\.retention_days', /must be 1 to 36500/],
    ['a word that is none of the words', 'log: { level = "loud"; };\n', 1, 'log\\.level',
        /must be debug, info, warning or error/],
    ['a backend that is not there', 'store: { backend = "postgres"; };\n', 1, 'store\\.backend',
        /must be sqlite or mariadb/],
    // Formats.
    ['an address without a port', 'server: { listen = "127.0.0.1"; };\n', 1, 'server\\.listen',
        /must be ADDRESS:PORT/],
    ['a port that is none', 'server: { listen = "127.0.0.1:99999"; };\n', 1, 'server\\.listen',
        /port must be 1 to 65535/],
    ['an address that others reach', 'server: { listen = "0.0.0.0:9080"; };\n', 1, 'server\\.listen',
        /allow_plaintext/],
    ['a base path without a slash', 'server: { base_path = "cesid"; };\n', 1, 'server\\.base_path',
        /must begin with a slash/],
    ['a base path that ends with one', 'server: { base_path = "/cesid/"; };\n', 1,
        'server\\.base_path', /may not end with a slash/],
    ['a base path that climbs', 'server: { base_path = "/a/../b"; };\n', 1, 'server\\.base_path',
        /may not hold \. or \.\./],
    ['a public URL without a scheme', 'server: { public_url = "ops.example"; };\n', 1,
        'server\\.public_url', /must begin with http/],
    ['a network that is none', 'server: { trusted_proxies = [ "10.0.0.0/8", "ten" ]; };\n', 1,
        'server\\.trusted_proxies\\[1\\]', /must be an address or a network/],
    ['a network too long', 'server: { trusted_proxies = [ "10.0.0.0/33" ]; };\n', 1,
        'server\\.trusted_proxies\\[0\\]', /0 to 32 bits/],
    ['an origin with a path', 'websocket: { origins = [ "https://a/b" ]; };\n', 1,
        'websocket\\.origins\\[0\\]', /must end after the host/],
    ['a user who is not there', 'server: { user = "no-such-user"; };\n', 1, 'server\\.user',
        /no such user/],
    ['a group that is not there', 'server: { user = "nobody";\n group = "no-such-group"; };\n', 2,
        'server\\.group', /no such group/],
    ['a group without a user', 'server: { group = "GROUP"; };\n', 1, 'server\\.group',
        /only with server\.user/],
    ['an empty path', 'store: { path = ""; };\n', 1, 'store\\.path', /may not be empty/],
    // What does not fit together.
    ['a breaker that closes before it opens', 'breaker: { open_min = 10.0;\n  open_max = 5.0; };\n', 2,
        'breaker\\.open_max', /must not be less than breaker\.open_min/],
    ['clients that are quiet for too short',
        'websocket: { ping_interval = 20.0;\n  idle_timeout = 10.0; };\n', 2,
        'websocket\\.idle_timeout', /must be more than websocket\.ping_interval/],
    ['more clients than threads there can be', 'websocket: { clients = 16384; };\n', 1,
        'websocket\\.clients', /at most 16384 together/],
    // Nodes.
    ['a node without a name', `nodes = ( {\n  ${url} } );\n`, 1, 'nodes\\[0\\]\\.name', /is missing/],
    ['a node without a URL', 'nodes = (\n { name = "x"; } );\n', 2, 'nodes\\[0\\]\\.url',
        /is missing/],
    ['a name with a blank', node(url, 'a b'), 2, 'nodes\\[0\\]\\.name', /1 to 64 letters/],
    ['two nodes of one name', `nodes = (\n { name = "x"; ${url} },\n { name = "x"; ${url} } );\n`, 3,
        'nodes\\[1\\]\\.name', /already the name of the node at .*:2/],
    ['an environment with a slash', node(`${url}\n    environment = "a/b";`), 4,
        'nodes\\[0\\]\\.environment', /1 to 64 letters/],
    ['a URL of another kind', node('url = "ftp://127.0.0.1/";'), 3, 'nodes\\[0\\]\\.url',
        /must begin with http:\/\/, https:\/\/ or unix:\/\//],
    ['a URL with a password', node('url = "http://u:hush@127.0.0.1:1/";'), 3, 'nodes\\[0\\]\\.url',
        /do not belong into the URL/],
    ['a URL without a host', node('url = "http:///RPC2";'), 3, 'nodes\\[0\\]\\.url', /names no host/],
    ['a URL with port 0', node('url = "http://127.0.0.1:0/RPC2";'), 3, 'nodes\\[0\\]\\.url',
        /port must be 1 to 65535/],
    ['a socket without a full path', node('url = "unix://run/sock";'), 3, 'nodes\\[0\\]\\.url',
        /absolute path/],
    ['a user name with a colon', node(`${url}\n    username = "a:b";`), 4, 'nodes\\[0\\]\\.username',
        /may not hold a colon/],
    ['a password without a user name', node(`${url}\n    password = "hush";`), 2,
        'nodes\\[0\\]\\.username', /is missing beside a password/],
    ['a certificate without TLS', node(`${url}\n    ca_file = "DIR/ca.pem";`), 4,
        'nodes\\[0\\]\\.ca_file', /only with an https/],
    ['a label of many words', node(`${url}\n    labels = { r-- = 5; };`), 4,
        'nodes\\[0\\]\\.labels\\.r--', /must be a string/],
    // Secrets.
    ['two spellings of a secret', loginNode('password = "hush";\n    password_file = "DIR/secret";'),
        6, 'nodes\\[0\\]\\.password_file', /only one of password, password_file and password_env/],
    ['a secret in a file that is not there', loginNode('password_file = "DIR/nothing";'), 5,
        'nodes\\[0\\]\\.password_file', /cannot (open|read) .*nothing/],
    ['a secret in a file for everybody', loginNode('password_file = "DIR/open-secret";'), 5,
        'nodes\\[0\\]\\.password_file', /others may read/],
    ['an empty secret', loginNode('password_file = "DIR/empty-secret";'), 5,
        'nodes\\[0\\]\\.password_file', /empty/],
    ['a secret in a variable that is not set', loginNode('password_env = "CESID_TEST_NOT_SET";'), 5,
        'nodes\\[0\\]\\.password_env', /CESID_TEST_NOT_SET is not set/],
    ['a token in a file that is a directory', 'metrics: { token_file = "DIR"; };\n', 1,
        'metrics\\.token_file', /not a regular file|cannot/],
];

let directory, group;

before(async () => {
    directory = makeDirectory();
    for (const [name, text, mode] of [['included.conf', '\nlog: { level = "loud"; };\n', 0o600],
        ['open-secret', 'hush\n', 0o644], ['secret', 'hush\n', 0o600], ['empty-secret', '', 0o600]]) {
        writeFileSync(join(directory, name), text, { mode });
        chmodSync(join(directory, name), mode);
    }
    group = (await runToEnd('id', ['-gn'])).stdout.trim();
});

async function check(text, mode = 0o600) {
    const place = join(directory, `t${check.count = (check.count ?? 0) + 1}`);
    mkdirSync(place);
    symlinkSync(join(directory, 'included.conf'), join(place, 'included.conf'));
    const file = join(place, 'cesid.conf');
    writeFileSync(file, Buffer.from(text.replaceAll('DIR', directory).replaceAll('GROUP', group),
        'latin1'), { mode });
    chmodSync(file, mode);
    return { file, ...await runToEnd(binary, ['-t', '-c', file]) };
}

test(`R4.5 R9.3 each of ${mistakes.length} mistakes has a message with file, line and key, and status 1`,
    async () => {
        assert.ok(mistakes.length >= 60);
        const wrong = [];
        for (let i = 0; i < mistakes.length; i += 4)
            await Promise.all(mistakes.slice(i, i + 4).map(
                async ([what, text, line, key, words, elsewhere]) => {
                    const { file, code, stdout, stderr } = await check(text);
                    const where = elsewhere ? join(directory, elsewhere) : file;
                    // One mistake, one message: nothing that only follows from it.
                    const [, path, at, name, message] =
                        /^([^\n]+):(\d+): ([^ ]+): ([^\n]+)\n$/.exec(stderr) ?? [];
                    if (code !== 1 || stdout || path !== where || Number(at) !== line ||
                        !new RegExp(`^(?:${key})$`).test(name) || !words.test(message) ||
                        stderr.includes('hush'))
                        wrong.push(`${what}: status ${code}, ${stdout}${stderr}`);
                }));
        assert.deepEqual(wrong, []);
    });

test('R9.4 a file that others may write is refused as a whole, with its mode', async () => {
    const { file, code, stderr } = await check('log: { level = "info"; };\n', 0o666);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^${file}:0: .*mode 0666`, 'm'));
});
