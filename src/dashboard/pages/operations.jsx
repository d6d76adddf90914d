// What is and was under way across the fleet, newest first.
import { useEffect } from 'preact/hooks';
import { duration, instant, plural, span } from '../lib/format.js';
import { operationPath } from '../lib/routes.js';
import { titleOf } from '../lib/operations.js';
import { now } from '../clock.js';
import { can } from '../session.js';
import { Ago } from '../components/age.jsx';
import { Empty, Loading } from '../components/empty.jsx';
import { ManyIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { OperationState, Progress } from '../components/operationparts.jsx';
import { Pager, useTrail } from '../components/pager.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { PAGE, useOperations } from '../components/useoperation.js';

export function took({ created_at: from, finished_at: to }) {
    const time = (to ? instant(to) : now.value) - instant(from);
    return time < 60_000 ? duration(Math.max(0, time) / 1000) : span(time);
}

// Where it acts, in few words.
function where({ results }) {
    const nodes = [...new Set((results ?? []).map(({ node }) => node))];
    if (nodes.length === 0)
        return '';
    if (results.length === 1)
        return `${results[0].process} on ${nodes[0]}`;
    return nodes.length === 1 ? nodes[0] : `${nodes[0]} and ${plural(nodes.length - 1, 'more node')}`;
}

function Row({ operation }) {
    return (
        <div role="row" class="row operation-row">
            <div role="cell" class="cell-state">
                <OperationState operation={operation} />
            </div>
            <div role="cell" class="cell-name">
                <Link to={operationPath(operation.id)} class="name">
                    {titleOf(operation)}
                </Link>
                <span class="faint breakable">{where(operation)}</span>
            </div>
            <div role="cell" class="cell-progress">
                <Progress operation={operation} />
            </div>
            <div role="cell" class="cell-who breakable">{operation.actor}</div>
            <div role="cell" class="cell-since" title="How long it took">
                {took(operation)}
            </div>
            <div role="cell" class="cell-age">
                <Ago time={operation.created_at} />
            </div>
        </div>
    );
}

function Rows({ items }) {
    return (
        <div class="table card flush" role="table" aria-label="Operations">
            <div role="row" class="row row-head operation-row">
                <div role="columnheader">State</div>
                <div role="columnheader">Operation</div>
                <div role="columnheader">Progress</div>
                <div role="columnheader">By</div>
                <div role="columnheader" class="cell-since">
                    Took
                </div>
                <div role="columnheader" class="cell-age">
                    Begun
                </div>
            </div>
            {items.map((operation) => (
                <Row key={operation.id} operation={operation} />
            ))}
        </div>
    );
}

export function Operations() {
    const { cursor, trail, setTrail } = useTrail('operations');
    const { page, problem, reload } = useOperations(cursor);
    useEffect(() => {
        document.title = 'Operations · cesid';
    }, []);
    return (
        <>
            <div class="page-head">
                <h1>Operations</h1>
                <span class="page-count" role="status">
                    {page && plural(page.total, 'operation')}
                </span>
                {can('process:control') && (
                    <div class="actions">
                        <Link to="operations/new" class="button primary">
                            <ManyIcon />
                            <span>Act on many processes</span>
                        </Link>
                    </div>
                )}
            </div>
            {problem && (
                <ProblemBox
                    title="The operations could not be read."
                    problem={problem}
                    onRetry={reload}
                />
            )}
            {!page && !problem && <Loading what="the operations" />}
            {page?.items.length === 0 && (
                <Empty title="No operations yet">
                    <p>
                        Whatever is started, stopped, restarted or signalled through cesid, from
                        here or over the API, is listed here with what came of it.
                    </p>
                </Empty>
            )}
            {page?.items.length > 0 && <Rows items={page.items} />}
            {page && <Pager page={page} size={PAGE} trail={trail} setTrail={setTrail} />}
        </>
    );
}
