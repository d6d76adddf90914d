// States as colour, shape and word together.
import { count } from '../lib/format.js';
import { lookOfProcess, nodeStates, processStates } from '../lib/states.js';
import { Mark } from './icons.jsx';

const strange = (name) => ({ tone: 'odd', mark: 'question', word: String(name) });

export function Badge({ look }) {
    return (
        <span class={`state tone-${look.tone}`}>
            <Mark shape={look.mark} />
            {look.word}
        </span>
    );
}

// lost: its node is not up, so that nobody knows whether it still runs.
export function ProcessState({ process, lost }) {
    const look = lookOfProcess(process) ?? strange(process.state);
    return <Badge look={lost && look.tone === 'good' ? { ...look, tone: 'idle' } : look} />;
}

export const NodeState = ({ state }) => <Badge look={nodeStates[state] ?? strange(state)} />;

const barStates = [
    'FATAL',
    'BACKOFF',
    'UNKNOWN',
    'EXITED',
    'STARTING',
    'STOPPING',
    'STOPPED',
    'RUNNING',
];

// Process states as one bar with parts in proportion, worst at the left.
export function CountsBar({ counts }) {
    const parts = barStates
        .map((state) => ({ state, value: counts?.[state.toLowerCase()] ?? 0 }))
        .filter(({ value }) => value > 0);
    const label = parts
        .map(({ state, value }) => `${count(value)} ${processStates[state].word.toLowerCase()}`)
        .join(', ');
    return (
        <span class="bar" role="img" aria-label={label || 'no processes'} title={label}>
            {parts.map(({ state, value }) => (
                <span
                    key={state}
                    class={`bar-part tone-${processStates[state].tone}`}
                    style={{ flexGrow: value }}
                />
            ))}
        </span>
    );
}

// The numbers that matter of a node's processes: what is wrong, then how many of how many run.
export function Counts({ counts, stale }) {
    if (!counts || counts.total === 0)
        return <span class="faint">no processes</span>;
    const wrong = ['FATAL', 'BACKOFF', 'UNKNOWN', 'EXITED']
        .map((state) => ({ state, value: counts[state.toLowerCase()] }))
        .filter(({ value }) => value > 0);
    return (
        <span class="counts">
            {wrong.map(({ state, value }) => (
                <span
                    key={state}
                    class={`state tone-${processStates[state].tone}`}
                    title={`${count(value)} ${processStates[state].word.toLowerCase()}`}
                >
                    <Mark shape={processStates[state].mark} />
                    {count(value)}
                    <span class="hidden"> {processStates[state].word}</span>
                </span>
            ))}
            <span class="counts-run">
                {stale ? (
                    <span class="faint">
                        {count(counts.running)}/{count(counts.total)} last known
                    </span>
                ) : (
                    <>
                        {count(counts.running)}
                        <span class="faint">
                            /{count(counts.total)}
                            <span class="counts-word"> running</span>
                        </span>
                    </>
                )}
            </span>
        </span>
    );
}
