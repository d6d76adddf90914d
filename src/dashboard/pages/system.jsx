// cesid itself: its health, its version, what it is busy with, its configuration.
import { useEffect } from 'preact/hooks';
import { apiPath, get } from '../api.js';
import { now } from '../clock.js';
import { ago, count } from '../lib/format.js';
import { figure, healthLooks } from '../lib/health.js';
import { canEverywhere } from '../session.js';
import { Since } from '../components/age.jsx';
import { Loading } from '../components/empty.jsx';
import { Health } from '../components/health.jsx';
import { LogLevels } from '../components/loglevels.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { Reload } from '../components/reload.jsx';
import { Badge } from '../components/state.jsx';
import { usePolled } from '../components/usepolled.js';

const EVERY = 5000;

// Failed health comes with status 503, and is an answer all the same.
async function readHealth() {
    try {
        return await get(apiPath('health'));
    } catch (problem) {
        if (problem.body?.components)
            return problem.body;
        throw problem;
    }
}

function Figures({ title, figures }) {
    return (
        <section class="card">
            <h2>{title}</h2>
            <dl class="figures-list">
                {Object.entries(figures).map(([name, value]) => (
                    <div key={name}>
                        <dt>{name.replaceAll('_', ' ')}</dt>
                        <dd>{figure(name, value)}</dd>
                    </div>
                ))}
            </dl>
        </section>
    );
}

const queueWords = { bus: 'Events', refresh: 'Polling', rpc: 'Calls to nodes',
    operations: 'Operations', hub: 'Live updates', http: 'HTTP' };

export function System() {
    const health = usePolled(readHealth, EVERY);
    const system = usePolled(() => get(apiPath('system')), EVERY);
    const { value } = system;
    const reload = () => {
        health.reload();
        system.reload();
    };
    const problem = health.problem ?? system.problem;
    const at = Math.min(health.at, system.at);

    useEffect(() => {
        document.title = 'System · cesid';
    }, []);
    return (
        <>
            <div class="page-head">
                <h1>System</h1>
                {health.value && (
                    <Badge look={healthLooks[health.value.status] ?? healthLooks.failed} />
                )}
                {value && (
                    <span class="page-count">
                        <span>
                            cesid {value.version}{' '}
                            <span class="mono">{value.revision}</span>, up for{' '}
                            <Since time={value.started_at} />
                        </span>
                    </span>
                )}
                {at > 0 && (
                    <span class={`page-age ${now.value - at > 3 * EVERY ? 'old' : 'faint'}`}>
                        read {ago(Math.max(0, now.value - at))}
                    </span>
                )}
            </div>
            {problem && !(problem.isNetwork && value) && (
                <ProblemBox
                    title="What cesid says of itself could not be read."
                    problem={problem}
                    onRetry={reload}
                />
            )}
            {!health.value && !problem && <Loading what="its health" />}
            {health.value && <Health components={health.value.components} />}
            {canEverywhere('system:admin') && (
                <div class="cards">
                    <Reload onDone={reload} />
                    <LogLevels />
                </div>
            )}
            {value && (
                <div class="cards small">
                    {Object.entries(value.queues).map(([name, figures]) => (
                        <Figures key={name} title={queueWords[name] ?? name} figures={figures} />
                    ))}
                    <Figures
                        title={`${count(Object.values(value.threads).reduce((sum, threads) =>
                            sum + threads, 0))} threads`}
                        figures={value.threads}
                    />
                </div>
            )}
        </>
    );
}
