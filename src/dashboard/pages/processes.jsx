// All processes of the fleet: searched, filtered and paged by the server, kept current.
import { useEffect, useRef } from 'preact/hooks';
import { plural } from '../lib/format.js';
import { keyOf } from '../lib/processset.js';
import { processStateNames, processStates } from '../lib/states.js';
import { query, setQuery } from '../router.js';
import { can } from '../session.js';
import { environments, loaded, nodes } from '../store.js';
import { Button } from '../components/button.jsx';
import { Empty, Loading, NoNodes } from '../components/empty.jsx';
import { Choice, Search } from '../components/filters.jsx';
import { ManyIcon, RefreshIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { Pager, useTrail } from '../components/pager.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { ProcessRow, ProcessTable } from '../components/processrow.jsx';
import { PAGE, useProcessPages } from '../components/useprocesspages.js';

const stateOptions = [
    ['FATAL,BACKOFF,UNKNOWN,EXITED', 'Needs attention'],
    ...processStateNames.map((state) => [state, processStates[state].word]),
];

// The filter as the beginning of a selection.
function selectionOf({ state, environment }) {
    const given = new URLSearchParams();
    if (state)
        given.set('states', state);
    if (environment)
        given.set('environments', environment);
    return given.size ? `?${given}` : '';
}

function Rows({ page, table, filtered }) {
    if (page.items.length === 0)
        return filtered ? (
            <Empty title="No process matches">
                <p>
                    <button
                        type="button"
                        class="button"
                        onClick={() => setQuery({ q: '', state: '', environment: '' })}
                    >
                        Show all
                    </button>
                </p>
            </Empty>
        ) : (
            <Empty title="No processes">
                <p>None of the {plural(nodes.value.length, 'node')} has told of a process yet.</p>
            </Empty>
        );
    return (
        <div class="card flush" ref={table}>
            <ProcessTable label="Processes" showNode total={page.total + 1}>
                {page.items.map((process) => (
                    <ProcessRow key={keyOf(process)} process={process} showNode clear={false} />
                ))}
            </ProcessTable>
        </div>
    );
}

export function Processes() {
    const filter = {
        q: query.value.get('q') ?? '',
        state: query.value.get('state') ?? '',
        environment: query.value.get('environment') ?? '',
    };
    const table = useRef(null);
    const { cursor, trail, setTrail } = useTrail(JSON.stringify(filter));
    const held = () =>
        Boolean(
            table.current?.matches(':hover') || table.current?.contains(document.activeElement),
        );
    const page = useProcessPages(filter, cursor, held);

    useEffect(() => {
        document.title = 'Processes · cesid';
    }, []);
    if (!can('process:read'))
        return <p class="note">You may not see processes.</p>;
    if (loaded.value && nodes.value.length === 0)
        return <NoNodes />;
    return (
        <>
            <div class="page-head">
                <h1>Processes</h1>
                <span class="page-count" role="status">
                    {page.items && plural(page.total, 'process', 'processes')}
                </span>
                {can('process:control') && (
                    <div class="actions">
                        <Link to={`operations/new${selectionOf(filter)}`} class="button">
                            <ManyIcon />
                            <span>Act on many</span>
                        </Link>
                    </div>
                )}
                {page.outdated > 0 && (
                    <Button
                        icon={RefreshIcon}
                        label={`Sort again (${plural(page.outdated, 'change')})`}
                        onClick={page.reload}
                    />
                )}
            </div>
            <div class="filters" role="search">
                <Search label="Process, group or node" wait={200} />
                <Choice name="state" label="State" all="Any state" options={stateOptions} />
                <Choice
                    name="environment"
                    label="Environment"
                    all="Any environment"
                    options={environments.value
                        .map(({ name }) => [name, name])
                        .sort(([a], [b]) => (a < b ? -1 : 1))}
                />
            </div>
            {page.problem && (
                <ProblemBox
                    title="The processes could not be read."
                    problem={page.problem}
                    onRetry={page.reload}
                />
            )}
            {!page.items && !page.problem && <Loading what="the processes" />}
            {page.items && (
                <Rows
                    page={page}
                    table={table}
                    filtered={filter.q || filter.state || filter.environment}
                />
            )}
            {page.items && <Pager page={page} size={PAGE} trail={trail} setTrail={setTrail} />}
        </>
    );
}
