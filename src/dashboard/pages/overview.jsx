// The fleet at a glance: what is wrong first, then how much of everything there is.
import { computed } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { count, plural } from '../lib/format.js';
import { nodePath } from '../lib/routes.js';
import {
    endedWell,
    isFailing,
    nodeStateNames,
    nodeStates,
    processStateNames,
    processStates,
} from '../lib/states.js';
import { can } from '../session.js';
import { environments, failing, failingState, loaded, nodes, totals } from '../store.js';
import { DataAge, Since } from '../components/age.jsx';
import { Loading, NoNodes } from '../components/empty.jsx';
import { Mark } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { ProcessRow, ProcessTable } from '../components/processrow.jsx';
import { CountsBar, NodeState } from '../components/state.jsx';

const SHOWN_NODES = 10; // few, so that failing processes are not out of sight
const SHOWN = 50;

const down = computed(() => nodes.value.filter((node) => node.state === 'down'));

const pathWith = (page, state) => `${page}?state=${encodeURIComponent(state)}`;

function Figure({ to, look, value }) {
    return (
        <Link to={to} class={`figure tone-${look.tone} ${value === 0 ? 'none' : ''}`}>
            <span class="figure-value">{count(value)}</span>
            <span class="figure-word">
                <Mark shape={look.mark} />
                {look.word}
            </span>
        </Link>
    );
}

function Totals() {
    const { nodes: byNode, processes } = totals.value;
    const nodeTotal = Object.values(byNode).reduce((sum, value) => sum + value, 0);
    return (
        <section class="totals" aria-label="Totals">
            <div class="card">
                <h2>
                    <Link to="nodes">{plural(nodeTotal, 'node')}</Link>
                </h2>
                <div class="figures">
                    {nodeStateNames.map((state) => (
                        <Figure
                            key={state}
                            to={pathWith('nodes', state)}
                            look={nodeStates[state]}
                            value={byNode[state] ?? 0}
                        />
                    ))}
                </div>
            </div>
            {can('process:read') && (
                <div class="card">
                    <h2>
                        <Link to="processes">
                            {plural(processes.total, 'process', 'processes')}
                        </Link>
                        <CountsBar counts={processes} />
                    </h2>
                    <div class="figures">
                        {processStateNames.map((state) => (
                            <Figure
                                key={state}
                                to={pathWith('processes', state)}
                                look={processStates[state]}
                                value={processes[state.toLowerCase()] ?? 0}
                            />
                        ))}
                    </div>
                </div>
            )}
        </section>
    );
}

function DownNodes() {
    const list = down.value;
    if (list.length === 0)
        return null;
    return (
        <section class="card" aria-labelledby="down-title">
            <h2 id="down-title">{plural(list.length, 'node')} down</h2>
            <ul class="plain down-list">
                {list.slice(0, SHOWN_NODES).map((node) => (
                    <li key={node.name} class="down-item">
                        <div class="down-what">
                            <NodeState state={node.state} />
                            <Link to={nodePath(node.name)} class="name">
                                {node.name}
                            </Link>
                            <span class="faint">{node.environment}</span>
                        </div>
                        <div class="down-why">
                            <code class="cause">{node.cause}</code> {node.hint}
                        </div>
                        <div class="down-since faint">
                            for <Since time={node.since} /> · data <DataAge node={node} />
                        </div>
                    </li>
                ))}
            </ul>
            {list.length > SHOWN_NODES && (
                <p class="more">
                    <Link to={pathWith('nodes', 'down')}>
                        All {count(list.length)} nodes that are down
                    </Link>
                </p>
            )}
        </section>
    );
}

function FailingProcesses() {
    const list = failing.value;
    const { problem, loaded: read, total } = failingState.value;
    if (problem)
        return <ProblemBox title="Failing processes could not be read." problem={problem} />;
    if (!read || list.length === 0)
        return null;
    const more = Math.max(total, list.length) > SHOWN;
    const urgent = list.filter((process) => isFailing(process) && !endedWell(process)).length;
    const ended = list.filter(endedWell).length;
    return (
        <section class="card" aria-labelledby="failing-title">
            <h2 id="failing-title">
                {urgent > 0
                    ? `${plural(urgent, 'process needs', 'processes need')} attention`
                    : `${plural(ended, 'process', 'processes')} ended with status 0`}
                {urgent > 0 && ended > 0 && (
                    <span class="aside">{count(ended)} ended with status 0</span>
                )}
            </h2>
            <ProcessTable label="Failing processes" showNode>
                {list.slice(0, SHOWN).map((process) => (
                    <ProcessRow
                        key={`${process.node} ${process.id}`}
                        process={process}
                        showNode
                        clear={false}
                    />
                ))}
            </ProcessTable>
            {more && (
                <p class="more">
                    <Link to={pathWith('processes', 'FATAL,BACKOFF,UNKNOWN,EXITED')}>
                        All of them
                    </Link>
                </p>
            )}
        </section>
    );
}

function AllWell() {
    const { nodes: byNode, processes } = totals.value;
    const well =
        failingState.value.loaded && down.value.length === 0 && failing.value.every(endedWell);
    if (!well || byNode.up === 0)
        return null;
    return (
        <section class="card well tone-good">
            <Mark shape="disc" />
            <p>
                <strong>Nothing needs attention.</strong> {plural(byNode.up, 'node')} up,{' '}
                {count(processes.running)} of {plural(processes.total, 'process', 'processes')}{' '}
                running.
            </p>
        </section>
    );
}

function Environments() {
    return (
        <section class="card" aria-labelledby="environments-title">
            <h2 id="environments-title">Environments</h2>
            <ul class="plain environments">
                {environments.value.map(({ name, total, nodes: byNode, processes }) => (
                    <li key={name} class="environment">
                        <Link to={`nodes?environment=${encodeURIComponent(name)}`} class="name">
                            {name}
                        </Link>
                        <span class="environment-nodes">
                            {byNode.down > 0 && (
                                <span class="state tone-fail">
                                    <Mark shape="cross" />
                                    {count(byNode.down)} down
                                </span>
                            )}
                            <span>{plural(total, 'node')}</span>
                        </span>
                        <span class="environment-processes">
                            {processes.fatal > 0 && (
                                <span class="state tone-fail">
                                    <Mark shape="cross" />
                                    {count(processes.fatal)} fatal
                                </span>
                            )}
                            <span>
                                {count(processes.running)}
                                <span class="faint">/{count(processes.total)} running</span>
                            </span>
                        </span>
                        <CountsBar counts={processes} />
                    </li>
                ))}
            </ul>
        </section>
    );
}

export function Overview() {
    useEffect(() => {
        document.title = 'Overview · cesid';
    }, []);
    if (!loaded.value)
        return <Loading what="the fleet" />;
    if (nodes.value.length === 0)
        return <NoNodes />;
    return (
        <>
            <h1 class="hidden">Fleet overview</h1>
            <Totals />
            <DownNodes />
            <AllWell />
            <FailingProcesses />
            <Environments />
        </>
    );
}
