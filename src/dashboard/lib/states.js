// The states of nodes and processes: order (worst first), tone (colour), mark (shape) and word.
export const processStates = {
    FATAL: { tone: 'fail', mark: 'cross', word: 'Fatal' },
    BACKOFF: { tone: 'warn', mark: 'triangle', word: 'Backoff' },
    UNKNOWN: { tone: 'odd', mark: 'question', word: 'Unknown' },
    EXITED: { tone: 'warn', mark: 'exit', word: 'Exited' },
    STARTING: { tone: 'move', mark: 'half', word: 'Starting' },
    STOPPING: { tone: 'move', mark: 'half', word: 'Stopping' },
    STOPPED: { tone: 'idle', mark: 'square', word: 'Stopped' },
    RUNNING: { tone: 'good', mark: 'disc', word: 'Running' },
    REMOVED: { tone: 'idle', mark: 'dash', word: 'Removed' },
};

export const nodeStates = {
    down: { tone: 'fail', mark: 'cross', word: 'Down' },
    connecting: { tone: 'move', mark: 'half', word: 'Connecting' },
    up: { tone: 'good', mark: 'disc', word: 'Up' },
    disabled: { tone: 'idle', mark: 'dash', word: 'Disabled' },
};

// Tone and shape of a process: one that ended as it should is no alarm.
export function lookOfProcess(process) {
    const look = processStates[process.state];
    return look && endedWell(process) ? { ...look, tone: 'idle' } : look;
}

export const processStateNames = Object.keys(processStates).filter((name) => name !== 'REMOVED');
export const nodeStateNames = Object.keys(nodeStates);
export const failingStates = ['FATAL', 'BACKOFF', 'UNKNOWN', 'EXITED'];

const rank = new Map(Object.keys(processStates).map((name, index) => [name, index]));
const nodeRank = new Map(nodeStateNames.map((name, index) => [name, index]));

// Ended as it was told to, or without a complaint: worth showing, but after everything else.
export const endedWell = (process) => process.state === 'EXITED' && process.exit_status === 0;

export const isFailing = (process) => failingStates.includes(process.state);
export const isActive = (process) =>
    process.state === 'RUNNING' || process.state === 'STARTING' || process.state === 'BACKOFF';

const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

export function compareProcesses(a, b) {
    return (rank.get(a.state) ?? 2) - (rank.get(b.state) ?? 2) || endedWell(a) - endedWell(b) ||
        text(a.node, b.node) || text(a.id, b.id);
}

// Down first, then those with failing processes, then the rest, each by name.
export function compareNodes(a, b) {
    return (nodeRank.get(a.state) ?? 1) - (nodeRank.get(b.state) ?? 1) ||
        (failingCount(b.counts) > 0) - (failingCount(a.counts) > 0) || text(a.name, b.name);
}

export function failingCount(counts) {
    return counts ? counts.fatal + counts.backoff + counts.unknown : 0;
}
