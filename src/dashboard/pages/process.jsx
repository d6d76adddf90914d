// One process with its logs.
import { useEffect } from 'preact/hooks';
import { keyOf } from '../lib/processset.js';
import { nodePath } from '../lib/routes.js';
import { can } from '../session.js';
import { nodeNamed } from '../store.js';
import { Since } from '../components/age.jsx';
import { Empty, Loading } from '../components/empty.jsx';
import { Link } from '../components/link.jsx';
import { LogPanel } from '../components/logpanel.jsx';
import { Outcome } from '../components/outcome.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { ProcessActions } from '../components/processactions.jsx';
import { processRemark } from '../components/processrow.jsx';
import { ProcessState } from '../components/state.jsx';
import { useProcesses } from '../components/useprocesses.js';
import { isActive } from '../lib/states.js';

function Log({ process }) {
    if (!can('log:read', process.environment))
        return <p class="note">You may not read logs in this environment.</p>;
    if (!process.stdout_log && !process.stderr_log)
        return (
            <Empty title="No log">
                <p>
                    This program has neither <code>stdout_logfile</code> nor{' '}
                    <code>stderr_logfile</code> in supervisord’s configuration.
                </p>
            </Empty>
        );
    return <LogPanel key={keyOf(process)} process={process} />;
}

export function Process({ node: name, id }) {
    const { items, problem, reload } = useProcesses(name);
    const process = items?.find((item) => item.id === id || item.id === `${id}:${id}`);
    const node = nodeNamed(name);

    useEffect(() => {
        document.title = `${id} on ${name} · cesid`;
    }, [name, id]);
    return (
        <div class="process-page">
            <nav class="crumbs" aria-label="Where this is">
                <Link to="nodes">Nodes</Link>
                <span aria-hidden="true">/</span>
                <Link to={nodePath(name)}>{name}</Link>
            </nav>
            <div class="page-head">
                <h1 class="breakable">{id}</h1>
                {process && <ProcessState process={process} lost={node && node.state !== 'up'} />}
                {process && (
                    <span class="page-count">
                        {processRemark(process)}{' '}
                        <span class="faint">
                            for{' '}
                            <Since
                                time={
                                    isActive(process)
                                        ? process.started_at
                                        : (process.stopped_at ?? process.started_at)
                                }
                            />
                        </span>
                    </span>
                )}
                {process && <ProcessActions process={process} clear talk />}
            </div>
            {node?.state === 'down' && (
                <p class="note">
                    The node is down (<code class="cause">{node.cause}</code>): this is what was
                    last known.
                </p>
            )}
            {process && <Outcome of={keyOf(process)} />}
            {problem && (
                <ProblemBox
                    title="The process could not be read."
                    problem={problem}
                    onRetry={reload}
                />
            )}
            {!problem && !items && <Loading what={id} />}
            {items && !process && (
                <Empty title="No such process">
                    <p>
                        <strong>{name}</strong> has no process <strong>{id}</strong>. It may have
                        been removed from supervisord’s configuration.{' '}
                        <Link to={nodePath(name)}>All processes of {name}</Link>
                    </p>
                </Empty>
            )}
            {process && <Log process={process} />}
        </div>
    );
}
