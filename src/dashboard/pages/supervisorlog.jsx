// supervisord's own log: its tail, read again on request.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, get } from '../api.js';
import { LogBuffer } from '../lib/logbuffer.js';
import { plainLine } from '../lib/ansi.js';
import { nodePath } from '../lib/routes.js';
import { Button } from '../components/button.jsx';
import { RefreshIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { LogView } from '../components/logview.jsx';
import { ProblemBox } from '../components/problem.jsx';

export function SupervisorLog({ name }) {
    const [buffer, setBuffer] = useState(null);
    const [problem, setProblem] = useState(null);
    const [follow, setFollow] = useState(true);

    const load = async () => {
        try {
            const fresh = new LogBuffer();
            fresh.read(await get(apiPath('nodes', name, 'supervisor', 'log')));
            setProblem(null);
            setBuffer(fresh);
        } catch (failure) {
            setProblem(failure);
        }
    };
    useEffect(() => {
        document.title = `supervisord on ${name} · cesid`;
        load();
    }, [name]);
    return (
        <div class="process-page">
            <nav class="crumbs" aria-label="Where this is">
                <Link to="nodes">Nodes</Link>
                <span aria-hidden="true">/</span>
                <Link to={nodePath(name)}>{name}</Link>
            </nav>
            <div class="page-head">
                <h1>supervisord’s log</h1>
                <Button icon={RefreshIcon} label="Read again" onClick={load} />
            </div>
            {problem && (
                <ProblemBox title="The log could not be read." problem={problem} onRetry={load} />
            )}
            {buffer && (
                <section class="log card flush" aria-label="Log">
                    <div class="log-body">
                        <LogView
                            lines={buffer.lines}
                            partial={plainLine(buffer.partial)}
                            dropped={buffer.dropped}
                            follow={follow}
                            onFollow={setFollow}
                            wrap
                            label={`supervisord's log on ${name}`}
                        />
                    </div>
                </section>
            )}
        </div>
    );
}
