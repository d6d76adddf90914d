// A machine of the test's own that costs nothing: this one's files below an overlay in memory, with
// processes, network and mounts of its own. What happens in it is gone with it. With systemd it is
// booted, too: a real systemd is its first process, with no services but those of the test. Root
// only.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
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
    mkdir root/run/lock root/run/outside
    ip link set lo up
    rm -f root/usr/sbin/policy-rc.d
    if [ -n "$2" ]; then
        # No service starts by itself: nothing here is to touch the kernel that all share.
        rm -rf root/etc/systemd/system/*.wants root/lib/systemd/system/*.wants
        printf '[Unit]\\nDescription=Nothing\\n' > root/etc/systemd/system/nothing.target
        mount -t sysfs none root/sys
        mount -t tmpfs none root/sys/fs/cgroup
        if [ "$2" = unified ]; then
            mount -t cgroup2 none root/sys/fs/cgroup
        else
            mkdir root/sys/fs/cgroup/unified root/sys/fs/cgroup/systemd
            mount -t cgroup2 none root/sys/fs/cgroup/unified
            mount -t cgroup -o none,name=systemd,xattr none root/sys/fs/cgroup/systemd
        fi
    fi
    # Not a chroot: there, services are not started.
    cd root
    pivot_root . run/outside
    cd /
    mkdir /run/upper
    mount --bind "/run/outside$1/upper" /run/upper
    umount -l /run/outside
    echo ready
    [ -z "$2" ] || exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
        /lib/systemd/systemd --system --unit=nothing.target --show-status=no
    # The first process takes in what has lost its parent.
    while :; do sleep 1000 & wait; done`;

const hierarchies = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup']
    .filter((place) => existsSync(join(place, 'cgroup.procs')));

// Root in a container may not be root enough.
export const possible = process.getuid() === 0 && spawnSync('unshare', ['--mount', '--pid', '--net',
    '--ipc', '--uts', '--cgroup', '--fork', '--mount-proc', 'mount', '-t', 'tmpfs', 'none', '/mnt'])
    .status === 0;

export class Machine {
    // systemd: whether it is its first process.
    async start({ systemd = false } = {}) {
        this.directory = makeDirectory();
        // What systemd makes of groups of processes goes below groups of the test's own.
        this.groups = systemd ? hierarchies.map((place) => join(place, `cesid-test-${process.pid}`))
            : [];
        this.groups.forEach((group) => mkdirSync(group));
        const kind = !systemd ? '' : hierarchies.includes('/sys/fs/cgroup') ? 'unified' : 'hybrid';
        this.child = new Child('bash', ['-c', `
            for group in "\${@:4}"; do echo $$ > "$group/cgroup.procs"; done
            exec unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child --mount-proc \
                bash -c "$1" bash "$2" "$3"`, 'bash', setUp, this.directory, kind, ...this.groups]);
        await until('the machine is up', () => {
            if (!this.child.running)
                throw new Error(this.child.stderr);
            return this.child.stdout.includes('ready');
        });
        const { pid } = this.child;
        this.first = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
        if (systemd)
            await until('systemd is up', async () =>
                (await this.run('systemctl is-system-running')).stdout === 'running\n', 20);
        return this;
    }

    // Runs a script of bash in it.
    async run(script, { seconds = 60, ...options } = {}) {
        return await runToEnd('nsenter', ['--target', this.first, '--mount', '--pid', '--net',
            '--ipc', '--uts', '--cgroup', '--wdns=/', '/usr/bin/env', '-i',
            'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8', 'HOME=/root',
            'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=2', 'PREVLEVEL=N',
            'bash', '--norc', '-c', script],
        { seconds, ...options });
    }

    // The files that are not as they were when it started, and those that are no more.
    async changes() {
        const { stdout } = await this.run("find /run/upper -not -type d -printf '%P\\n'");
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

    async stop() {
        this.child?.kill();
        await this.child?.exited;
        for (const group of this.groups ?? [])
            await until('its groups of processes are empty', async () => {
                await runToEnd('find', [group, '-mindepth', '1', '-depth', '-type', 'd', '-exec',
                    'rmdir', '{}', '+']);
                rmdirSync(group);
                return true;
            });
    }
}
