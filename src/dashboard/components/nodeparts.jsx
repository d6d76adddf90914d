// Parts of a node's page: its facts, and why it is down.
import { duration, instant, plural, span } from '../lib/format.js';
import { now } from '../clock.js';
import { Ago, DataAge, Since } from './age.jsx';
import { WarnIcon } from './icons.jsx';

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
                    {node.last_refresh ? (
                        <>
                            What is shown of its processes was read <DataAge node={node} />.
                        </>
                    ) : (
                        'It has never been read.'
                    )}
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
            <Fact name="Latency">
                {(node.latency > 0 && duration(node.latency)) || <span class="faint">–</span>}
            </Fact>
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
