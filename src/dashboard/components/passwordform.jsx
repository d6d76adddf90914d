// A new password of one's own.
import { useState } from 'preact/hooks';
import { Problem, apiPath, request } from '../api.js';
import { user } from '../session.js';
import { Button } from './button.jsx';
import { TextField } from './fields.jsx';
import { ProblemBox } from './problem.jsx';

const empty = { old: '', new: '', again: '' };

export function PasswordForm() {
    const [values, setValues] = useState(empty);
    const [problem, setProblem] = useState(null);
    const [busy, setBusy] = useState(false);
    const [done, setDone] = useState(false);
    const form = { values, problem, type: 'password', required: true, maxlength: 1024,
        set: (changes) => {
            setDone(false);
            setValues((old) => ({ ...old, ...changes }));
        } };
    const submit = async (event) => {
        event.preventDefault();
        setProblem(null);
        if (values.new !== values.again) {
            setProblem(new Problem({ status: 422, detail: 'The new password is not the same twice',
                errors: [{ field: 'again', message: 'differs from the new password' }] }));
            return;
        }
        setBusy(true);
        try {
            await request('PUT', apiPath('auth', 'password'), {
                body: { old: values.old, new: values.new } });
            setValues(empty);
            setDone(true);
        } catch (failure) {
            setProblem(failure);
        }
        setBusy(false);
    };
    return (
        <section class="card">
            <h2>Password</h2>
            <form class="stack" onSubmit={submit}>
                <input
                    class="hidden"
                    name="username"
                    autocomplete="username"
                    value={user.value.username}
                    readonly
                    tabindex={-1}
                    aria-hidden="true"
                />
                <TextField {...form} name="old" label="Present password"
                    autocomplete="current-password" />
                <TextField {...form} name="new" label="New password" autocomplete="new-password" />
                <TextField {...form} name="again" label="New password again"
                    autocomplete="new-password" />
                {problem && <ProblemBox title="Not changed." problem={problem} />}
                {done && (
                    <p class="note" role="status">
                        The password is changed, and your other sessions have ended.
                    </p>
                )}
                <div>
                    <Button
                        type="submit"
                        kind="primary"
                        label={busy ? 'Changing…' : 'Change the password'}
                        disabled={busy}
                    />
                </div>
            </form>
        </section>
    );
}
