// Reading cesid's configuration again, with what it changed or why it was refused.
import { useState } from 'preact/hooks';
import { apiPath, post } from '../api.js';
import { plural } from '../lib/format.js';
import { Button } from './button.jsx';
import { ask } from './dialog.jsx';
import { CloseIcon, RefreshIcon } from './icons.jsx';
import { ProblemBox } from './problem.jsx';

const lists = [
    ['added', 'node', 'added'],
    ['removed', 'node', 'removed'],
    ['changed', 'node', 'changed'],
    ['settings', 'setting', 'took effect'],
];

function Report({ report, onDismiss }) {
    const shown = lists.filter(([key]) => report[key].length > 0);
    return (
        <div class="report" role="status">
            <div>
                <strong>The configuration was read.</strong>{' '}
                {shown.length === 0 && report.restart_needed.length === 0 && 'Nothing changed. '}
                {plural(report.unchanged.length, 'node is as it was', 'nodes are as they were')}.
                {shown.map(([key, one, words]) => (
                    <p key={key}>
                        {plural(report[key].length, one)} {words}:{' '}
                        <span class="mono breakable">{report[key].join(', ')}</span>
                    </p>
                ))}
                {report.restart_needed.length > 0 && (
                    <p class="old">
                        {plural(report.restart_needed.length, 'setting waits', 'settings wait')} for
                        a restart of cesid:{' '}
                        <span class="mono breakable">{report.restart_needed.join(', ')}</span>
                    </p>
                )}
            </div>
            <button type="button" class="button quiet" aria-label="Dismiss" onClick={onDismiss}>
                <CloseIcon />
            </button>
        </div>
    );
}

export function Reload({ onDone }) {
    const [busy, setBusy] = useState(false);
    const [report, setReport] = useState(null);
    const [problem, setProblem] = useState(null);
    const reload = async () => {
        const yes = await ask({
            title: 'Read the configuration again?',
            confirm: 'Reload',
            children: (
                <p>
                    The file is checked whole first: with a mistake in it, everything stays as it
                    is. Nodes that were taken out of it vanish from here; those that did not change
                    keep their connections.
                </p>
            ),
        });
        if (!yes)
            return;
        setBusy(true);
        setReport(null);
        setProblem(null);
        try {
            setReport(await post(apiPath('system', 'reload')));
        } catch (failure) {
            setProblem(failure);
        }
        setBusy(false);
        onDone();
    };
    return (
        <section class="card">
            <h2>Configuration</h2>
            <p class="faint">
                After a change of <code>cesid.conf</code>, or of the files that it includes.
            </p>
            <div class="form-foot">
                <Button
                    icon={RefreshIcon}
                    label={busy ? 'Reading…' : 'Reload the configuration'}
                    disabled={busy}
                    onClick={reload}
                />
            </div>
            {report && <Report report={report} onDismiss={() => setReport(null)} />}
            {problem && (
                <ProblemBox
                    title="Refused."
                    problem={problem}
                    onDismiss={() => setProblem(null)}
                />
            )}
        </section>
    );
}
