// What a supervisord has in its configuration, program by program.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, getAll } from '../api.js';
import { now } from '../clock.js';
import { ago, plural } from '../lib/format.js';
import { nodePath } from '../lib/routes.js';
import { query } from '../router.js';
import { Button } from '../components/button.jsx';
import { Empty, Loading } from '../components/empty.jsx';
import { Search } from '../components/filters.jsx';
import { NextIcon, RefreshIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { ProblemBox } from '../components/problem.jsx';

const idOf = ({ group, name }) => `${group}:${name}`;

function worded(value) {
    if (value === null || value === '')
        return <span class="faint">–</span>;
    if (typeof value === 'boolean')
        return value ? 'yes' : 'no';
    return Array.isArray(value) ? value.join(', ') : String(value);
}

function Program({ program }) {
    const [open, setOpen] = useState(false);
    return (
        <div role="row" class={`row config-row ${open ? 'open' : ''}`}>
            <div role="cell" class="cell-open">
                <button
                    type="button"
                    class="button quiet"
                    aria-expanded={open}
                    aria-label={`All settings of ${idOf(program)}`}
                    onClick={() => setOpen(!open)}
                >
                    <NextIcon />
                </button>
            </div>
            <div role="cell" class="cell-name">
                <span class="name">{idOf(program)}</span>
                {program.inuse === false && <span class="old">not in use: update adds it</span>}
            </div>
            <div role="cell" class="cell-command mono breakable">
                {program.command}
            </div>
            {open && (
                <div role="cell" class="cell-details">
                    <dl class="facts">
                        {Object.keys(program).sort().map((key) => (
                            <div class="fact" key={key}>
                                <dt>{key}</dt>
                                <dd class="mono">{worded(program[key])}</dd>
                            </div>
                        ))}
                    </dl>
                </div>
            )}
        </div>
    );
}

export function Config({ name }) {
    const [state, setState] = useState({ programs: null, problem: null, at: 0 });
    const { programs, problem, at } = state;
    const load = async () => {
        try {
            setState({ programs: await getAll(apiPath('nodes', name, 'config')), problem: null,
                at: Date.now() });
        } catch (failure) {
            setState((old) => ({ ...old, problem: failure }));
        }
    };
    useEffect(() => {
        document.title = `Configuration of ${name} · cesid`;
        load();
    }, [name]);
    const q = (query.value.get('q') ?? '').toLowerCase();
    const found = (programs ?? []).filter((program) =>
        `${idOf(program)} ${program.command ?? ''}`.toLowerCase().includes(q));
    return (
        <>
            <nav class="crumbs" aria-label="Where this is">
                <Link to="nodes">Nodes</Link>
                <span aria-hidden="true">/</span>
                <Link to={nodePath(name)}>{name}</Link>
            </nav>
            <div class="page-head">
                <h1>Configuration of its supervisord</h1>
                <span class="page-count" role="status">
                    {programs && plural(found.length, 'process', 'processes')}
                    {at > 0 && `, read ${ago(Math.max(0, now.value - at))}`}
                </span>
                <div class="actions">
                    <Button icon={RefreshIcon} label="Read again" onClick={load} />
                </div>
            </div>
            {problem && (
                <ProblemBox
                    title="The configuration could not be read."
                    problem={problem}
                    onRetry={load}
                />
            )}
            {!programs && !problem && <Loading what="the configuration" />}
            {programs?.length > 0 && (
                <div class="filters" role="search">
                    <Search label="Process, group or command" />
                </div>
            )}
            {programs && found.length === 0 && (
                <Empty title={q ? 'No process matches' : 'No programs'} />
            )}
            {found.length > 0 && (
                <div class="table card flush" role="table" aria-label="Programs">
                    <div role="row" class="row row-head config-row">
                        <div role="columnheader">
                            <span class="hidden">Settings</span>
                        </div>
                        <div role="columnheader">Process</div>
                        <div role="columnheader">Command</div>
                    </div>
                    {found.map((program) => (
                        <Program key={idOf(program)} program={program} />
                    ))}
                </div>
            )}
        </>
    );
}
