// A machine of the test's own that costs nothing: this one's files below an overlay in memory, with
// processes, network and mounts of its own. What happens in it is gone with it. Root only.
import { readFileSync } from 'node:fs';
import { Child, makeDirectory, runToEnd } from './system.mjs';
import { until } from './wait.mjs';

const setUp = `
    set -e
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 none "$1"
    cd "$1"
    mkdir upper work root
    mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root
    mount -t proc none root/proc
    mount --rbind /dev root/dev
    mount -t tmpfs -o mode=755 none root/run
    mount -t tmpfs -o mode=1777 none root/tmp
    mkdir root/run/lock root/tmp/upper root/tmp/outside
    mount --bind upper root/tmp/upper
    ip link set lo up
    rm -f root/usr/sbin/policy-rc.d
    # Not a chroot: there, services are not started.
    cd root
    pivot_root . tmp/outside
    cd /
    umount -l /tmp/outside
    echo ready
    # The first process takes in what has lost its parent.
    while :; do sleep 1000 & wait; done`;

export class Machine {
    async start() {
        this.directory = makeDirectory();
        this.child = new Child('unshare', ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork',
            '--kill-child', '--mount-proc', 'bash', '-c', setUp, 'bash', this.directory]);
        await until('the machine is up', () => {
            if (!this.child.running)
                throw new Error(this.child.stderr);
            return this.child.stdout.includes('ready');
        });
        const { pid } = this.child;
        this.first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
        return this;
    }

    // Runs a script of bash in it.
    async run(script, { seconds = 60, ...options } = {}) {
        return await runToEnd('nsenter', ['--target', this.first, '--mount', '--pid', '--net',
            '--ipc', '--uts', '--wdns=/', '/usr/bin/env', '-i',
            'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8', 'HOME=/root',
            'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=2', 'PREVLEVEL=N',
            'bash', '--norc', '-c', script],
        { seconds, ...options });
    }

    // The files that are not as they were when it started, and those that are no more.
    async changes() {
        const { stdout } = await this.run("find /tmp/upper -not -type d -printf '%P\\n'");
        return stdout.split('\n').filter(Boolean).sort();
    }

    // Puts a file from here into its /tmp.
    async bring(file, name) {
        const { code, stderr } = await runToEnd('bash', ['-c',
            'nsenter --target "$1" --mount tee "/tmp/$2" < "$3" >/dev/null', 'bash', this.first,
            name, file]);
        if (code !== 0)
            throw new Error(stderr);
    }

    stop() {
        this.child?.kill();
    }
}
