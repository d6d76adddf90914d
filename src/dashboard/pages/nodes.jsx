// All nodes, worst first, of which those in sight exist.
import { useEffect, useState } from 'preact/hooks';
import { count, plural } from '../lib/format.js';
import { matchesNode } from '../lib/fleet.js';
import { nodePath } from '../lib/routes.js';
import { nodeStateNames, nodeStates } from '../lib/states.js';
import { query, setQuery } from '../router.js';
import { can } from '../session.js';
import { environments, loaded, nodes } from '../store.js';
import { Button } from '../components/button.jsx';
import { DataAge, Since } from '../components/age.jsx';
import { Empty, Loading, NoNodes } from '../components/empty.jsx';
import { Choice, Search } from '../components/filters.jsx';
import { AddIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { addNode } from '../components/nodeform.jsx';
import { Counts, NodeState } from '../components/state.jsx';
import { VirtualRows } from '../components/virtual.jsx';

const narrow = matchMedia('(max-width: 760px)');

function useRowHeight() {
    const [height, setHeight] = useState(narrow.matches ? 84 : 40);
    useEffect(() => {
        const change = () => setHeight(narrow.matches ? 84 : 40);
        narrow.addEventListener('change', change);
        return () => narrow.removeEventListener('change', change);
    }, []);
    return height;
}

function NodeRow({ node, index }) {
    return (
        <div role="row" class="row node-row" aria-rowindex={index + 2}>
            <div role="cell" class="cell-state">
                <NodeState state={node.state} />
            </div>
            <div role="cell" class="cell-name">
                <Link to={nodePath(node.name)} class="name">
                    {node.name}
                </Link>
            </div>
            <div role="cell" class="cell-environment">
                {node.environment}
            </div>
            <div role="cell" class="cell-why" title={node.hint ?? undefined}>
                {node.cause && (
                    <>
                        <code class="cause">{node.cause}</code> {node.hint}
                    </>
                )}
            </div>
            <div role="cell" class="cell-counts">
                <Counts counts={node.counts} stale={node.state !== 'up'} />
            </div>
            <div role="cell" class="cell-since" title="In this state for">
                <Since time={node.since} />
            </div>
            <div role="cell" class="cell-age" title="Age of its data">
                <DataAge node={node} />
            </div>
        </div>
    );
}

function List({ shown }) {
    const height = useRowHeight();
    return (
        <div
            class="table card flush"
            role="table"
            aria-label="Nodes"
            aria-rowcount={shown.length + 1}
        >
            <div role="row" class="row row-head node-row" aria-rowindex={1}>
                <div role="columnheader">State</div>
                <div role="columnheader">Node</div>
                <div role="columnheader">Environment</div>
                <div role="columnheader">Cause</div>
                <div role="columnheader">Processes</div>
                <div role="columnheader" class="cell-since">
                    For
                </div>
                <div role="columnheader" class="cell-age">
                    Data
                </div>
            </div>
            <VirtualRows
                count={shown.length}
                height={height}
                keyOf={(index) => shown[index].name}
                render={(index) => <NodeRow node={shown[index]} index={index} />}
            />
        </div>
    );
}

export function Nodes() {
    useEffect(() => {
        document.title = 'Nodes · cesid';
    }, []);
    if (!loaded.value)
        return <Loading what="the nodes" />;
    if (nodes.value.length === 0)
        return <NoNodes />;
    const filter = Object.fromEntries(query.value);
    const shown = nodes.value.filter((node) => matchesNode(node, filter));
    const filtered = shown.length < nodes.value.length;
    return (
        <>
            <div class="page-head">
                <h1>Nodes</h1>
                <span class="page-count" role="status">
                    {filtered
                        ? `${count(shown.length)} of ${plural(nodes.value.length, 'node')}`
                        : plural(nodes.value.length, 'node')}
                </span>
                {can('node:write') && (
                    <div class="actions">
                        <Button icon={AddIcon} label="Add a node" onClick={addNode} />
                    </div>
                )}
            </div>
            <div class="filters" role="search">
                <Search label="Name, label or cause" wait={nodes.value.length > 2000 ? 120 : 0} />
                <Choice
                    name="state"
                    label="State"
                    all="Any state"
                    options={nodeStateNames.map((state) => [state, nodeStates[state].word])}
                />
                <Choice
                    name="environment"
                    label="Environment"
                    all="Any environment"
                    options={environments.value
                        .map(({ name }) => [name, name])
                        .sort(([a], [b]) => (a < b ? -1 : 1))}
                />
            </div>
            {shown.length > 0 ? (
                <List shown={shown} />
            ) : (
                <Empty title="No node matches">
                    <p>
                        None of {plural(nodes.value.length, 'node')} is like that.{' '}
                        <button
                            type="button"
                            class="button"
                            onClick={() => setQuery({ q: '', state: '', environment: '' })}
                        >
                            Show all
                        </button>
                    </p>
                </Empty>
            )}
        </>
    );
}
