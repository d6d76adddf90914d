// The fleet that most tests look at: three supervisord of different shapes and a cesid that
// watches them.
//
//   alpha  TCP with user and password   ticker sleeper cat fatal idle once sturdy
//   beta   unix socket                  ticker binary words hup
//   gamma  TCP, groups, numprocs        workers:crunch_00..02 workers:pack_00..01 lone
import { Cesid, nodeConfig } from './cesid.mjs';
import { Supervisord } from './supervisord.mjs';
import { until } from './wait.mjs';

const shell = (text) => `/bin/sh -c '${text}'`;

export const programs = {
    // A line five times a second, numbered.
    ticker: { command: shell('i=0; while sleep 0.2; do i=$((i+1)); echo "tick $i"; done') },
    sleeper: { command: '/bin/sleep 100000' },
    cat: { command: '/bin/cat' },
    fatal: { command: shell('echo "no such luck" >&2; exit 3'), startsecs: 1 },
    idle: { command: '/bin/sleep 100000', autostart: false },
    once: { command: shell('echo done; exit 0') },
    // Comes back by itself.
    sturdy: { command: '/bin/sleep 100000', autorestart: 'true' },
    // Takes its time to count as started.
    slow: { command: '/bin/sleep 100000', startsecs: 3, autostart: false },
    hup: { command: shell('trap "echo got HUP" HUP; echo waiting; while :; do sleep 0.1; done') },
    // Bytes that are no UTF-8, control bytes, ANSI colours, HTML.
    binary: {
        command: shell('printf "first\\377\\376\\200 second\\033[31mred\\033[0m\\001\\n"; ' +
            'exec sleep 100000'),
    },
    // 3,000 characters of two and three bytes, no newline in between.
    words: {
        command: shell('i=0; while [ $i -lt 1500 ]; do printf "é€"; i=$((i+1)); done; ' +
            'echo; exec sleep 100000'),
    },
};

export class Fleet {
    static async start({ config = {} } = {}) {
        const fleet = new Fleet();
        const pick = (...names) => Object.fromEntries(names.map((name) => [name, programs[name]]));
        fleet.alpha = new Supervisord({
            name: 'alpha', username: 'ops', password: 'correct horse "battery" \\ staple',
            programs: pick('ticker', 'sleeper', 'cat', 'fatal', 'idle', 'once', 'sturdy', 'slow'),
        });
        fleet.beta = new Supervisord({
            name: 'beta', listener: 'unix', programs: pick('ticker', 'binary', 'words', 'hup'),
        });
        fleet.gamma = new Supervisord({
            name: 'gamma',
            programs: {
                crunch: { command: '/bin/sleep 100000', numprocs: 3 },
                pack: { command: '/bin/sleep 100000', numprocs: 2 },
                lone: { command: '/bin/sleep 100000' },
            },
            groups: { workers: ['crunch', 'pack'] },
        });
        fleet.nodes = [fleet.alpha, fleet.beta, fleet.gamma];
        try {
            await Promise.all(fleet.nodes.map((node) => node.start()));
            fleet.cesid = new Cesid({
                config,
                nodes: [
                    nodeConfig(fleet.alpha, { environment: 'production', labels: { role: 'web' } }),
                    nodeConfig(fleet.beta, { environment: 'staging', labels: { role: 'db' } }),
                    nodeConfig(fleet.gamma, { environment: 'production' }),
                ],
            });
            await fleet.cesid.start();
            await fleet.cesid.login();
            await fleet.up();
        } catch (error) {
            await fleet.stop().catch(() => {});
            throw error;
        }
        return fleet;
    }

    // All nodes are up and what settles has settled.
    async up() {
        await until('the fleet is up', async () => {
            const { items } = await this.cesid.get('/nodes');
            return items.length === 3 && items.every((node) => node.state === 'up' &&
                node.counts.starting === 0 && node.counts.total > 0);
        }, 15);
    }

    async stop() {
        let failure;
        try {
            await this.cesid?.stop();
        } catch (error) {
            failure = error;
        }
        // Nobody looks at the nodes any more, and a graceful end takes them seconds.
        this.nodes.forEach((node) => node.child?.kill());
        if (failure)
            throw failure;
    }
}
