// What a selection covers, before anything is done to it.
import { useState } from 'preact/hooks';
import { count, plural } from '../lib/format.js';
import { settledTargets, verbOf } from '../lib/operations.js';
import { nodePath, processPath } from '../lib/routes.js';
import { Button } from './button.jsx';
import { Link } from './link.jsx';
import { ProcessState } from './state.jsx';

const SHOWN = 100;

const some = (many) => `${plural(many, 'process', 'processes')} of them`;
const they = (many) => (many === 1 ? 'it is' : 'they are');
const remarks = {
    start: (many) => `${some(many)} run already and will be left as ${they(many)}.`,
    stop: (many) => `${some(many)} do not run and will be left as ${they(many)}.`,
    restart: (many) => `${some(many)} do not run now and will be started.`,
};

function tally(targets, of) {
    const counts = new Map();
    for (const target of targets)
        counts.set(target[of], (counts.get(target[of]) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]);
}

export function Preview({ body, preview, busy, onAct }) {
    const [most, setMost] = useState(SHOWN);
    const { targets, total } = preview;
    const nodes = new Set(targets.map(({ node }) => node));
    const settled = settledTargets(preview);
    return (
        <section class="preview" aria-label="What the selection covers">
            <div class="page-head">
                <h2>
                    {plural(total, 'process', 'processes')} on {plural(nodes.size, 'node')}
                </h2>
                <span class="page-count" role="status">
                    {tally(targets, 'environment').map(([name, many]) =>
                        `${name} ${count(many)}`).join(', ')}
                </span>
                <div class="actions">
                    <Button
                        kind={body.action === 'start' ? 'primary' : 'danger'}
                        label={`${verbOf(body)} ${plural(total, 'process', 'processes')}…`}
                        disabled={busy}
                        onClick={onAct}
                    />
                </div>
            </div>
            {settled > 0 && <p class="note">{remarks[body.action](settled)}</p>}
            <div class="table card flush" role="table" aria-label="Processes covered">
                <div role="row" class="row row-head target-row">
                    <div role="columnheader">State</div>
                    <div role="columnheader">Process</div>
                    <div role="columnheader">Node</div>
                    <div role="columnheader">Environment</div>
                </div>
                {targets.slice(0, most).map((target) => (
                    <div role="row" class="row target-row" key={`${target.node} ${target.process}`}>
                        <div role="cell" class="cell-state">
                            <ProcessState process={target} />
                        </div>
                        <div role="cell" class="cell-name">
                            <Link to={processPath(target.node, target.process)} class="name">
                                {target.process}
                            </Link>
                        </div>
                        <div role="cell" class="cell-node breakable">
                            <Link to={nodePath(target.node)}>{target.node}</Link>
                        </div>
                        <div role="cell" class="cell-environment breakable">{target.environment}</div>
                    </div>
                ))}
            </div>
            {targets.length > most && (
                <p class="pager">
                    <Button
                        label={`Show more (${count(targets.length - most)} left)`}
                        onClick={() => setMost(most + 5 * SHOWN)}
                    />
                </p>
            )}
        </section>
    );
}
