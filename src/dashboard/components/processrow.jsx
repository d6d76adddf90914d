// One process in a table: what it is, how it is, what can be done, what came of it.
import { outcomes } from '../actions.js';
import { keyOf } from '../lib/processset.js';
import { nodePath, processPath } from '../lib/routes.js';
import { isActive } from '../lib/states.js';
import { can } from '../session.js';
import { nodeNamed } from '../store.js';
import { Since } from './age.jsx';
import { LogIcon } from './icons.jsx';
import { Link } from './link.jsx';
import { Outcome } from './outcome.jsx';
import { ProcessActions } from './processactions.jsx';
import { ProcessState } from './state.jsx';

// What there is to say beyond the state: why it failed, or how it ended.
export function processRemark(process) {
    if (process.spawn_error && process.state !== 'RUNNING')
        return process.spawn_error;
    if (process.state === 'EXITED')
        return process.exit_status === 0
            ? 'ended with status 0'
            : `ended with status ${process.exit_status}`;
    if (process.state === 'RUNNING' || process.state === 'STOPPED')
        return process.state === 'RUNNING' && process.pid ? `pid ${process.pid}` : '';
    return process.description ?? '';
}

export function ProcessRow({ process, showNode, clear = true }) {
    const key = keyOf(process);
    const outcome = outcomes.value.get(key);
    const node = nodeNamed(process.node);
    const lost = node && node.state !== 'up';
    const hasLog = process.stdout_log || process.stderr_log;
    return (
        <div role="row" class={`row process-row ${showNode ? 'with-node' : ''}`}>
            <div role="cell" class="cell-state">
                <ProcessState process={process} lost={lost} />
                {lost && (
                    <span class="last-known" title={`Its node is ${node.state}`}>
                        last known
                    </span>
                )}
            </div>
            <div role="cell" class="cell-name">
                <Link to={processPath(process.node, process.id)} class="name">
                    {process.id}
                </Link>
                {showNode && (
                    <span class="where">
                        <Link to={nodePath(process.node)}>{process.node}</Link>
                        <span class="faint">{process.environment}</span>
                    </span>
                )}
            </div>
            <div role="cell" class="cell-remark">
                {processRemark(process)}
            </div>
            <div role="cell" class="cell-since">
                <Since
                    time={
                        isActive(process)
                            ? process.started_at
                            : (process.stopped_at ?? process.started_at)
                    }
                    fallback=""
                />
            </div>
            <div role="cell" class="cell-actions">
                {hasLog && can('log:read', process.environment) && (
                    <Link
                        to={processPath(process.node, process.id)}
                        class="button quiet"
                        aria-label={`Log of ${process.id} on ${process.node}`}
                        title="Log"
                    >
                        <LogIcon />
                    </Link>
                )}
                <ProcessActions process={process} short clear={clear} />
            </div>
            {outcome && (
                <div role="cell" class="cell-outcome">
                    <Outcome of={key} />
                </div>
            )}
        </div>
    );
}

export function ProcessTable({ label, children, showNode, total, ...rest }) {
    return (
        <div class="table" role="table" aria-label={label} aria-rowcount={total} {...rest}>
            <div role="row" class={`row row-head process-row ${showNode ? 'with-node' : ''}`}>
                <div role="columnheader">State</div>
                <div role="columnheader">Process</div>
                <div role="columnheader">Detail</div>
                <div role="columnheader" class="cell-since">
                    Since
                </div>
                <div role="columnheader" class="cell-actions">
                    <span class="hidden">Actions</span>
                </div>
            </div>
            {children}
        </div>
    );
}
