// One operation: how far it is, what came of it at each target, and a way to end it.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, request } from '../api.js';
import { count, duration, moment, plural } from '../lib/format.js';
import { resultLooks, sortedResults, titleOf } from '../lib/operations.js';
import { nodePath, processPath } from '../lib/routes.js';
import { can } from '../session.js';
import { Ago } from '../components/age.jsx';
import { Button } from '../components/button.jsx';
import { ask } from '../components/dialog.jsx';
import { Empty, Loading } from '../components/empty.jsx';
import { StopIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { OperationState, Progress } from '../components/operationparts.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { Badge } from '../components/state.jsx';
import { useOperation } from '../components/useoperation.js';
import { took } from './operations.jsx';

const SHOWN = 200;

function ResultRow({ result }) {
    return (
        <div role="row" class="row result-row">
            <div role="cell" class="cell-state">
                <Badge look={resultLooks[result.kind]} />
            </div>
            <div role="cell" class="cell-name">
                <Link to={processPath(result.node, result.process)} class="name">
                    {result.process}
                </Link>
            </div>
            <div role="cell" class="cell-node breakable">
                <Link to={nodePath(result.node)}>{result.node}</Link>
            </div>
            <div role="cell" class="cell-remark">
                {result.kind === 'failed' && <code class="cause">{result.code}</code>}{' '}
                {result.detail}
            </div>
            <div role="cell" class="cell-since">
                {result.kind === 'waiting' ? '' : duration(result.duration)}
            </div>
        </div>
    );
}

function Results({ operation }) {
    const [kind, setKind] = useState('');
    const [most, setMost] = useState(SHOWN);
    const results = sortedResults(operation.results);
    const found = kind ? results.filter((result) => result.kind === kind) : results;
    const kinds = Object.keys(resultLooks).map((name) => [name,
        results.filter((result) => result.kind === name).length]).filter(([, many]) => many > 0);
    return (
        <>
            {kinds.length > 1 && (
                <div class="actions" role="group" aria-label="Which targets to show">
                    {[['', results.length], ...kinds].map(([name, many]) => (
                        <button
                            key={name}
                            type="button"
                            class={`button ${kind === name ? 'on' : ''}`}
                            aria-pressed={kind === name}
                            onClick={() => setKind(name)}
                        >
                            {name ? resultLooks[name].word : 'All'} {count(many)}
                        </button>
                    ))}
                </div>
            )}
            <div class="table card flush" role="table" aria-label="Targets">
                <div role="row" class="row row-head result-row">
                    <div role="columnheader">Result</div>
                    <div role="columnheader">Process</div>
                    <div role="columnheader">Node</div>
                    <div role="columnheader">Detail</div>
                    <div role="columnheader" class="cell-since">
                        Took
                    </div>
                </div>
                {found.slice(0, most).map((result) => (
                    <ResultRow key={`${result.node} ${result.process}`} result={result} />
                ))}
            </div>
            {found.length > most && (
                <p class="pager">
                    <Button
                        label={`Show more (${count(found.length - most)} left)`}
                        onClick={() => setMost(most + SHOWN)}
                    />
                </p>
            )}
        </>
    );
}

function cancel(operation, put) {
    const left = operation.total - operation.succeeded - operation.failed;
    return ask({
        title: 'Cancel this operation?',
        confirm: 'Cancel the operation',
        giveUp: 'Let it go on',
        danger: true,
        children: (
            <p>
                {plural(left, 'process', 'processes')} of {count(operation.total)} have not ended
                yet. Those that wait stay as they are; of those under way, what is done is done.
            </p>
        ),
        submit: async () => {
            put(await request('DELETE', apiPath('operations', operation.id)));
            return true;
        },
    });
}

export function Operation({ id }) {
    const { operation, problem, put } = useOperation(id);
    useEffect(() => {
        document.title = operation ? `${titleOf(operation)} · cesid` : 'Operation · cesid';
    }, [operation?.id]);
    if (problem?.status === 404 && !operation)
        return (
            <Empty title="No such operation">
                <p>
                    It may be too long ago, or acts where you may not look.{' '}
                    <Link to="operations">All operations</Link>
                </p>
            </Empty>
        );
    return (
        <>
            <nav class="crumbs" aria-label="Where this is">
                <Link to="operations">Operations</Link>
            </nav>
            {problem && (
                <ProblemBox title="The operation could not be read." problem={problem} />
            )}
            {!operation && !problem && <Loading what="the operation" />}
            {operation && (
                <>
                    <div class="page-head">
                        <h1>{titleOf(operation)}</h1>
                        <OperationState operation={operation} />
                        {operation.state === 'running' && can('process:control') && (
                            <div class="actions">
                                <Button
                                    icon={StopIcon}
                                    label="Cancel"
                                    onClick={() => cancel(operation, put)}
                                />
                            </div>
                        )}
                    </div>
                    <Progress operation={operation} />
                    <p class="faint">
                        Begun <Ago time={operation.created_at} /> ({moment(operation.created_at)})
                        by <strong>{operation.actor}</strong>,{' '}
                        {operation.finished_at ? 'took' : 'for'} {took(operation)}.{' '}
                        <span class="mono breakable">{operation.id}</span>
                    </p>
                    {operation.state === 'interrupted' && (
                        <p class="note">
                            cesid ended while this was under way. Below is how far each process
                            came: look after those that were left stopped.
                        </p>
                    )}
                    <Results operation={operation} />
                </>
            )}
        </>
    );
}
