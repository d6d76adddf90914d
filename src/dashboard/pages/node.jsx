// One node: its facts, what is wrong with it, its processes.
import { useEffect, useState } from 'preact/hooks';
import { count, plural } from '../lib/format.js';
import { keyOf } from '../lib/processset.js';
import { query } from '../router.js';
import { can } from '../session.js';
import { Empty, Loading } from '../components/empty.jsx';
import { Search } from '../components/filters.jsx';
import { Link } from '../components/link.jsx';
import { NodeActions } from '../components/nodeactions.jsx';
import { NodeFacts, NodeTrouble } from '../components/nodeparts.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { ProcessRow, ProcessTable } from '../components/processrow.jsx';
import { CountsBar, NodeState } from '../components/state.jsx';
import { useNode } from '../components/usenode.js';
import { useProcesses } from '../components/useprocesses.js';

const SHOWN = 200; // at first, and more with each click
const SEARCHED = 15; // from so many on there is a search

export function NoSuchNode({ name }) {
    return (
        <Empty title="No such node">
            <p>
                There is no node <strong>{name}</strong>, or you may not see it.{' '}
                <Link to="nodes">All nodes</Link>
            </p>
        </Empty>
    );
}

function Processes({ node, state }) {
    const { items, problem, reload } = state;
    const [most, setMost] = useState(SHOWN);
    if (problem)
        return (
            <ProblemBox
                title="The processes could not be read."
                problem={problem}
                onRetry={reload}
            />
        );
    if (items === null)
        return <Loading what="the processes" />;
    if (items.length === 0)
        return (
            <Empty title="No processes">
                {node.state === 'up' ? (
                    <p>
                        This supervisord has no <code>[program:…]</code> section, or none was added
                        yet with <code>supervisorctl update</code>.
                    </p>
                ) : (
                    <p>They are listed once the node has been reached.</p>
                )}
            </Empty>
        );
    const q = (query.value.get('q') ?? '').toLowerCase();
    const found = items.filter((process) => process.id.toLowerCase().includes(q));
    return (
        <>
            {(items.length >= SEARCHED || q) && (
                <div class="filters" role="search">
                    <Search label="Process or group" />
                    {q && (
                        <span class="page-count" role="status">
                            {count(found.length)} of {count(items.length)}
                        </span>
                    )}
                </div>
            )}
            {found.length > 0 && (
                <section class="card flush" aria-label="Processes">
                    <ProcessTable label={`Processes of ${node.name}`} total={found.length + 1}>
                        {found.slice(0, most).map((process) => (
                            <ProcessRow key={keyOf(process)} process={process} />
                        ))}
                    </ProcessTable>
                </section>
            )}
            {found.length > most && (
                <p class="pager">
                    <button type="button" class="button" onClick={() => setMost(most + SHOWN)}>
                        Show more ({count(found.length - most)} left)
                    </button>
                </p>
            )}
        </>
    );
}

export function Node({ name }) {
    const { node, problem } = useNode(name);
    const processes = useProcesses(name);

    useEffect(() => {
        document.title = `${name} · cesid`;
    }, [name]);
    if (problem?.status === 404)
        return <NoSuchNode name={name} />;
    if (!node)
        return problem ? (
            <ProblemBox title="The node could not be read." problem={problem} />
        ) : (
            <Loading what={name} />
        );
    return (
        <>
            <nav class="crumbs" aria-label="Where this is">
                <Link to="nodes">Nodes</Link>
                <span aria-hidden="true">/</span>
                <Link to={`nodes?environment=${encodeURIComponent(node.environment)}`}>
                    {node.environment}
                </Link>
            </nav>
            <div class="page-head">
                <h1 class="breakable">{node.name}</h1>
                <NodeState state={node.state} />
                {node.counts?.total > 0 && (
                    <span class={`page-count ${node.state === 'up' ? '' : 'stale'}`}>
                        {node.state !== 'up' && 'Last known: '}
                        {node.counts.running} of{' '}
                        {plural(node.counts.total, 'process', 'processes')} running
                        <CountsBar counts={node.counts} />
                    </span>
                )}
            </div>
            <NodeTrouble node={node} />
            {problem && <ProblemBox title="The node could not be read." problem={problem} />}
            <NodeFacts node={node} />
            <NodeActions node={node} processes={processes.items} />
            {can('process:read', node.environment) ? (
                <Processes node={node} state={processes} />
            ) : (
                <p class="note">You may not see this node’s processes.</p>
            )}
        </>
    );
}
