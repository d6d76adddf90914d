// Acting on many processes: a selection by globs, what it covers, and then the action.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, post } from '../api.js';
import { requestOf, verbOf } from '../lib/operations.js';
import { plural } from '../lib/format.js';
import { operationPath } from '../lib/routes.js';
import { processStateNames, processStates } from '../lib/states.js';
import { navigate, query } from '../router.js';
import { can } from '../session.js';
import { Button } from '../components/button.jsx';
import { ask } from '../components/dialog.jsx';
import { ManyField, SelectField, TextField } from '../components/fields.jsx';
import { SearchIcon } from '../components/icons.jsx';
import { Link } from '../components/link.jsx';
import { Preview } from '../components/preview.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { signalOptions } from '../components/signaldialogs.jsx';

const MANY = 20; // from so many on, their number must be typed

const actions = [['restart', 'Restart'], ['start', 'Start'], ['stop', 'Stop'],
    ['signal', 'Send a signal']];

// Links from elsewhere say what to begin with.
function initial() {
    const given = Object.fromEntries(query.value);
    return { action: 'restart', signal: 'HUP', ...given,
        states: given.states ? given.states.split(',') : [] };
}

function Selection(form) {
    const globs = { ...form, spellcheck: false };
    return (
        <>
            <div class="form-grid">
                <SelectField {...form} name="action" label="Action" options={actions} />
                {form.values.action === 'signal' && (
                    <SelectField {...form} name="signal" label="Signal" options={signalOptions} />
                )}
            </div>
            <div class="form-grid">
                <TextField {...globs} name="environments" label="Environments"
                    placeholder="production, eu-*" />
                <TextField {...globs} name="nodes" label="Nodes" placeholder="web-*" />
                <TextField {...globs} name="labels" label="Labels" placeholder="role=web"
                    hint="A node must have all of them" />
                <TextField {...globs} name="groups" label="Groups" placeholder="workers" />
                <TextField {...globs} name="processes" label="Processes"
                    placeholder="web_*, api:api_?" hint="By name, or group:name" />
            </div>
            <ManyField
                {...form}
                name="states"
                label="States"
                hint="None ticked: whatever their state"
                options={processStateNames.map((name) => [name, processStates[name].word])}
            />
            <details class="more-fields">
                <summary>How fast, how long</summary>
                <div class="form-grid">
                    <TextField {...form} name="parallelism" label="At a time" type="number"
                        min={1} max={1000} hint="1 is one after the other" />
                    <TextField {...form} name="timeout" label="Seconds for one" type="number"
                        min={1} max={3600} step="any" />
                    <TextField {...form} name="batch_timeout" label="Seconds for all" type="number"
                        min={1} max={86400} step="any" />
                </div>
            </details>
        </>
    );
}

// Field errors as the form's own names.
const unprefixed = (problem) => problem && Object.assign(Object.create(problem), { errors:
    problem.errors.map((error) => ({ ...error, field: error.field.replace(/^select\./, '') })) });

function confirmed(body, preview) {
    const targets = plural(preview.total, 'process', 'processes');
    const nodes = new Set(preview.targets.map(({ node }) => node));
    const environments = [...new Set(preview.targets.map((target) => target.environment))];
    return ask({
        title: `${verbOf(body)} ${targets}?`,
        confirm: `${verbOf(body)} ${targets}`,
        danger: body.action !== 'start',
        typed: body.action !== 'start' && preview.total >= MANY ? String(preview.total) : undefined,
        children: (
            <p>
                <strong>{targets}</strong> on {plural(nodes.size, 'node')} in{' '}
                {plural(environments.length, 'environment')}:{' '}
                <strong class="breakable">{environments.join(', ')}</strong>.{' '}
                {body.parallelism ? `${body.parallelism} at a time.` : ''}
            </p>
        ),
    });
}

export function NewOperation() {
    const [values, setValues] = useState(initial);
    const [preview, setPreview] = useState(null); // {of, answer}
    const [problem, setProblem] = useState(null);
    const [busy, setBusy] = useState(false);
    const body = requestOf(values);
    const of = JSON.stringify(body);
    const current = preview?.of === of ? preview.answer : null;

    useEffect(() => {
        document.title = 'Act on many processes · cesid';
    }, []);
    const attempt = async (work) => {
        setBusy(true);
        setProblem(null);
        try {
            await work();
        } catch (failure) {
            setProblem(failure);
        }
        setBusy(false);
    };
    const look = (event) => {
        event.preventDefault();
        setPreview(null);
        attempt(async () => setPreview({ of,
            answer: await post(apiPath('operations'), { ...body, dry_run: true }) }));
    };
    const act = async () => {
        if (await confirmed(body, current))
            attempt(async () => navigate(operationPath((await post(apiPath('operations'), body)).id)));
    };
    if (!can('process:control'))
        return <p class="note">You may not control processes.</p>;
    return (
        <>
            <nav class="crumbs" aria-label="Where this is">
                <Link to="operations">Operations</Link>
            </nav>
            <div class="page-head">
                <h1>Act on many processes</h1>
            </div>
            <form class="card selection" onSubmit={look}>
                <p class="faint">
                    <code>*</code> stands for anything, <code>?</code> for one character; several
                    are parted by commas. What is left empty does not matter. Nothing happens before
                    you have seen what is covered.
                </p>
                <Selection
                    values={values}
                    problem={unprefixed(problem)}
                    set={(changes) => setValues((old) => ({ ...old, ...changes }))}
                />
                <div class="form-foot">
                    <Button
                        icon={SearchIcon}
                        type="submit"
                        kind={current ? '' : 'primary'}
                        label="Show what it covers"
                        disabled={busy}
                    />
                    {preview && !current && (
                        <span class="faint">The selection has changed: look again.</span>
                    )}
                </div>
            </form>
            {problem && <ProblemBox title="Not done." problem={problem} />}
            {current && <Preview body={body} preview={current} busy={busy} onAct={act} />}
        </>
    );
}
