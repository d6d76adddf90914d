// Parts of a node's page: its facts, why it is down, and what can be done with all its processes.
import { nodeAction, nodeKey, outcomes } from '../actions.js';
import { duration, instant, plural, span } from '../lib/format.js';
import { isActive } from '../lib/states.js';
import { now } from '../clock.js';
import { can } from '../session.js';
import { supervisorLogPath } from '../lib/routes.js';
import { Ago, DataAge, Since } from './age.jsx';
import { Button } from './button.jsx';
import { ask } from './dialog.jsx';
import { LogIcon, RefreshIcon, RestartIcon, StartIcon, StopIcon, WarnIcon } from './icons.jsx';
import { Link } from './link.jsx';
import { Outcome } from './outcome.jsx';

const NAMED = 12;

const questions = {
    'start-all': {
        title: 'Start all processes?',
        verb: 'Start',
        danger: false,
        touches: (process) => !isActive(process),
        none: 'All of them run already.',
    },
    'stop-all': {
        title: 'Stop all processes?',
        verb: 'Stop',
        danger: true,
        touches: isActive,
        none: 'None of them runs.',
    },
    'restart-all': {
        title: 'Restart all processes?',
        verb: 'Restart',
        danger: true,
        touches: () => true,
        none: '',
    },
};

async function confirmAll(node, processes, action) {
    const { title, verb, danger, touches, none } = questions[action];
    const touched = (processes ?? []).filter(touches);
    const yes = await ask({
        title,
        danger,
        confirm: `${verb} ${plural(touched.length, 'process', 'processes')}`,
        children:
            touched.length === 0 ? (
                <p>{none} cesid will ask the node all the same.</p>
            ) : (
                <>
                    <p>
                        {verb}s {plural(touched.length, 'process', 'processes')} on{' '}
                        <strong>{node.name}</strong> (environment{' '}
                        <strong>{node.environment}</strong>):
                    </p>
                    <ul class="dialog-list">
                        {touched.slice(0, NAMED).map((process) => (
                            <li key={process.id}>{process.id}</li>
                        ))}
                        {touched.length > NAMED && (
                            <li class="faint">and {touched.length - NAMED} more</li>
                        )}
                    </ul>
                    {action === 'restart-all' && touched.some((process) => !isActive(process)) && (
                        <p>This also starts those that are stopped now.</p>
                    )}
                </>
            ),
    });
    if (yes)
        nodeAction(node.name, action);
}

export function NodeActions({ node, processes }) {
    const busy = outcomes.value.get(nodeKey(node.name))?.phase === 'pending';
    const off = busy || node.state === 'disabled';
    const all = (action) => () => confirmAll(node, processes, action);
    return (
        <div class="node-actions">
            <div class="actions" role="group" aria-label={`Actions for ${node.name}`}>
                <Button
                    icon={RefreshIcon}
                    label="Refresh now"
                    disabled={off}
                    onClick={() => nodeAction(node.name, 'refresh')}
                />
                {can('process:control', node.environment) && processes?.length > 0 && (
                    <>
                        <Button
                            icon={StartIcon}
                            label="Start all"
                            disabled={off}
                            onClick={all('start-all')}
                        />
                        <Button
                            icon={RestartIcon}
                            label="Restart all"
                            disabled={off}
                            onClick={all('restart-all')}
                        />
                        <Button
                            icon={StopIcon}
                            label="Stop all"
                            disabled={off}
                            onClick={all('stop-all')}
                        />
                    </>
                )}
                {can('node:control', node.environment) && (
                    <Link to={supervisorLogPath(node.name)} class="button">
                        <LogIcon />
                        <span>supervisord’s log</span>
                    </Link>
                )}
            </div>
            <Outcome of={nodeKey(node.name)} />
        </div>
    );
}

function NextTry({ breaker }) {
    const wait = instant(breaker.retry_at) - now.value;
    return (
        <>
            {' '}
            It failed {plural(breaker.failures, 'time')} in a row;
            {wait > 1000 ? ` cesid tries again in ${span(wait)}.` : ' cesid is trying again.'}
        </>
    );
}

export function NodeTrouble({ node }) {
    if (node.state === 'up')
        return null;
    if (node.state === 'disabled')
        return (
            <p class="note">
                This node is disabled: cesid does not ask it. Its processes are as they were last
                known.
            </p>
        );
    if (node.state === 'connecting')
        return <p class="note">cesid is connecting to this node for the first time.</p>;
    const { breaker } = node;
    return (
        <div class="problem">
            <WarnIcon />
            <div class="problem-body">
                <strong>
                    Down for <Since time={node.since} />: <code class="cause">{node.cause}</code>
                </strong>{' '}
                {node.hint}
                <p class="faint">
                    What is shown of its processes was read <DataAge node={node} />.
                    {breaker?.state === 'open' && <NextTry breaker={breaker} />}
                </p>
            </div>
        </div>
    );
}

function Fact({ name, children }) {
    return (
        <div class="fact">
            <dt>{name}</dt>
            <dd>{children}</dd>
        </div>
    );
}

export function NodeFacts({ node }) {
    const { supervisor, labels, breaker } = node;
    return (
        <dl class="facts">
            <Fact name="Address">
                <span class="mono">{node.url}</span>
            </Fact>
            <Fact name="supervisord">
                {supervisor?.version ? (
                    <>
                        {supervisor.version}
                        <span class="faint"> · API {supervisor.api_version}</span>
                    </>
                ) : (
                    <span class="faint">unknown</span>
                )}
            </Fact>
            {supervisor?.identification && (
                <Fact name="Identification">{supervisor.identification}</Fact>
            )}
            <Fact name="In this state">
                <Since time={node.since} />
            </Fact>
            <Fact name="Last read">
                <Ago time={node.last_refresh} />
            </Fact>
            <Fact name="Latency">{duration(node.latency) || <span class="faint">–</span>}</Fact>
            {breaker && breaker.state !== 'closed' && (
                <Fact name="Breaker">
                    {breaker.state.replace('_', ' ')}, {plural(breaker.failures, 'failure')}
                </Fact>
            )}
            <Fact name="Configured">
                {node.source === 'config' ? 'in the file' : 'over the API'}
            </Fact>
            {Object.keys(labels ?? {}).length > 0 && (
                <Fact name="Labels">
                    <span class="labels">
                        {Object.entries(labels).map(([key, value]) => (
                            <span key={key} class="label">
                                {key}={value}
                            </span>
                        ))}
                    </span>
                </Fact>
            )}
        </dl>
    );
}
