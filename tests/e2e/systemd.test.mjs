// conf/cesid.service under a real systemd: the sandbox keeps cesid from what it has no business
// with, and from nothing that it needs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Installed } from './lib/install.mjs';
import { Machine, possible } from './lib/machine.mjs';
import { makeDirectory, runToEnd } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const options = { skip: !possible && 'needs root and namespaces' };
let machine;

async function expectIn(script, code = 0) {
    const answer = await machine.run(script);
    assert.equal(answer.code, code, `${script}: ${answer.stdout}${answer.stderr}`);
    return answer.stdout;
}

const property = async (name) => (await expectIn(`systemctl show cesid -p ${name} --value`)).trim();
const ready = async () => (await machine.run('curl -sf http://127.0.0.1:9080/readyz')).code === 0;

// Two supervisords of the machine: one on TCP, one on a socket in /run that cesid's group may use.
const supervisord = (name, listener) => `
    mkdir -p /root/${name}
    cat > /root/${name}/conf <<END
[supervisord]
directory=/root/${name}
logfile=/root/${name}/log
pidfile=/root/${name}/pid
childlogdir=/root/${name}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
${listener}
[program:cat]
command=/bin/cat
END
    supervisord -c /root/${name}/conf`;

// Asks the API as admin; the answer as JSON.
const api = async (method, path) => JSON.parse(await expectIn(`
    token=$(curl -sf http://127.0.0.1:9080/api/v1/auth/login -H 'Content-Type: application/json' \\
        -d '{"username":"admin","password":"'"$(cat /var/lib/cesid/initial-admin-password)"'"}' |
        jq -r .token)
    curl -sf -X ${method} -H "Authorization: Bearer $token" http://127.0.0.1:9080/api/v1${path}`));

before(async () => {
    if (!possible)
        return;
    machine = await new Machine().start({ systemd: true });
    const tree = await Installed.make({ variables: ['DESTDIR=TREE', 'PREFIX=/usr'] });
    const packed = join(makeDirectory(), 'tree.tar');
    assert.equal((await runToEnd('tar', ['-cf', packed, '-C', tree.directory, '.'])).code, 0);
    await machine.bring(packed, 'tree.tar');
    await expectIn('tar -xf /tmp/tree.tar -C / --no-same-owner --no-overwrite-dir');
    // As README.md has it.
    await expectIn('useradd --system --home-dir /var/lib/cesid --shell /usr/sbin/nologin cesid');
    await expectIn('chgrp -R cesid /etc/cesid');
    await expectIn(supervisord('tcp', '[inet_http_server]\nport=127.0.0.1:9001'));
    await expectIn(supervisord('unix',
        '[unix_http_server]\nfile=/run/supervisor.sock\nchmod=0770\nchown=root:cesid'));
    await expectIn(`cat > /etc/cesid/nodes.conf <<'END'
nodes = (
  { name = "tcp"; environment = "test"; url = "http://localhost:9001/RPC2"; },
  { name = "unix"; environment = "test"; url = "unix:///run/supervisor.sock"; }
);
END`);
    await expectIn('systemctl daemon-reload');
});

after(() => machine?.stop());

test('systemctl start comes back when cesid serves, as its user and with no way to more', options,
    async () => {
        await expectIn('systemctl start cesid');
        assert.ok(await ready());
        assert.equal(await property('StatusText'), 'Serving on 127.0.0.1:9080');
        const status = await expectIn('cat /proc/$(systemctl show cesid -p MainPID --value)/status');
        assert.match(status, /^CapBnd:\s+0+$/m);
        assert.match(status, /^NoNewPrivs:\s+1$/m);
        assert.match(status, /^Seccomp:\s+2$/m);
        assert.match(await expectIn('ps -o user= -p $(cat /run/cesid/cesid.pid)'), /^cesid/);
        assert.equal((await expectIn('stat -c "%a %U" /var/lib/cesid /var/log/cesid /run/cesid'))
            .trim(), '700 cesid\n750 cesid\n755 cesid');
    });

test('what cesid needs works in the sandbox', options, async () => {
    // Nodes over TCP, by a name that has to be looked up, and over a socket below /run.
    await until('both nodes are up', async () =>
        (await api('GET', '/nodes?state=up')).total === 2, 15);
    for (const node of ['tcp', 'unix']) {
        const restarted = await api('POST', `/nodes/${node}/processes/cat/restart`);
        assert.equal(restarted.succeeded, 1, JSON.stringify(restarted));
    }
    assert.equal((await api('GET', '/activity?action=process.restart')).total, 2);
    const metrics = await expectIn('curl -sf http://127.0.0.1:9080/metrics');
    for (const name of ['cesid_open_fds', 'cesid_resident_bytes', 'cesid_threads\\{subsystem="main"\\}'])
        assert.match(metrics, new RegExp(`^${name} [1-9]`, 'm'));
    assert.match(await expectIn('cat /var/log/cesid/cesid.log'), /limit of open files files=\d{4,}/);
    await expectIn('logrotate --force /etc/logrotate.d/cesid');
    await until('the new log', async () => (await api('POST', '/system/reload')) &&
        (await expectIn('cat /var/log/cesid/cesid.log')).includes('reloaded'));
});

test('what cesid has no business with is out of its reach', options, async () => {
    const enter = 'nsenter --mount -t $(cat /run/cesid/cesid.pid)';
    const user = 'setpriv --reuid cesid --regid cesid --clear-groups --no-new-privs';
    const within = (script, as = user) =>
        machine.run(`${enter} ${as} bash --norc -c '${script}'`);
    // Not even root could, from there.
    for (const script of ['echo x > /etc/cesid/x', 'echo x > /usr/x', 'echo x > /var/lib/x',
        'echo x > /sys/kernel/mm/ksm/run', '[ -n "$(ls -A /root)" ]', 'test -e /dev/mem',
        'test -e /dev/kmsg', 'test -e /proc/kmsg && head -c 1 /proc/kmsg', 'test -e /tmp/tree.tar'])
        assert.notEqual((await within(script, '')).code, 0, script);
    for (const script of ['cat /proc/1/status', 'cat /proc/sys/kernel/hostname'])
        assert.notEqual((await within(script)).code, 0, script);
    for (const script of ['echo x > /var/lib/cesid/x && rm /var/lib/cesid/x', 'cat /proc/self/status',
        'cat /etc/cesid/nodes.conf', 'head -c 1 /dev/urandom >/dev/null', 'test ! -e /tmp/tree.tar',
        'echo x > /tmp/x && rm /tmp/x'])
        assert.equal((await within(script)).code, 0, script);
});

test('systemctl reload takes a good file, refuses a bad one, and keeps the process', options,
    async () => {
        const before = await property('MainPID');
        await expectIn("sed -i '/name = .tcp./d' /etc/cesid/nodes.conf && systemctl reload cesid");
        await until('one node is left', async () => (await api('GET', '/nodes')).total === 1);
        await expectIn("echo nonsense >> /etc/cesid/nodes.conf");
        assert.notEqual((await machine.run('systemctl reload cesid')).code, 0);
        assert.equal(await property('ActiveState'), 'active');
        assert.equal(await property('MainPID'), before);
        assert.equal((await api('GET', '/nodes')).total, 1);
        // Nor does a restart begin with that file: but what was stopped stays so, and says why.
        assert.notEqual((await machine.run('systemctl restart cesid')).code, 0);
        await expectIn("sed -i '/nonsense/d' /etc/cesid/nodes.conf");
        await expectIn('systemctl reset-failed cesid; systemctl restart cesid');
    });

test('one that dies comes back, and one that hangs is ended and comes back', options, async () => {
    await expectIn(`mkdir -p /etc/systemd/system/cesid.service.d &&
        printf '[Service]\\nWatchdogSec=5\\nRestartSec=0.1\\nTimeoutAbortSec=1\\n' \\
            > /etc/systemd/system/cesid.service.d/quick.conf &&
        systemctl daemon-reload && systemctl restart cesid`);
    for (const signal of ['KILL', 'STOP']) {
        const before = await property('MainPID');
        await expectIn(`kill -${signal} ${before}`);
        await until('another serves', async () => await property('MainPID') !== before &&
            await ready(), 15);
    }
    assert.equal(await property('NRestarts'), '2');
});

test('systemctl stop ends it in order', options, async () => {
    await expectIn('systemctl stop cesid');
    assert.equal(await property('Result'), 'success');
    assert.equal(await property('ExecMainStatus'), '0');
    await expectIn('test ! -e /run/cesid');
    assert.match(await expectIn('tail -n 1 /var/log/cesid/cesid.log'), /stopped/);
});

test('what README.md says about systemd is what was done here', () => {
    const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    for (const line of ['useradd --system --home-dir /var/lib/cesid --shell /usr/sbin/nologin cesid',
        'chgrp -R cesid /etc/cesid', 'systemctl daemon-reload'])
        assert.ok(text.includes(line), line);
});
