// How much cesid writes into its log, everywhere and in single parts, until its next start.
import { useState } from 'preact/hooks';
import { apiPath, get, request } from '../api.js';
import { Button } from './button.jsx';
import { Loading } from './empty.jsx';
import { SelectField } from './fields.jsx';
import { ProblemBox } from './problem.jsx';
import { usePolled } from './usepolled.js';

const levels = ['debug', 'info', 'warning', 'error'].map((level) => [level, level]);
const subsystems = ['auth', 'base', 'bus', 'config', 'health', 'http', 'hub', 'journal', 'logs',
    'main', 'node', 'operation', 'refresh', 'registry', 'rpc', 'store'];

export function LogLevels() {
    const { value, problem, reload } = usePolled(() => get(apiPath('system', 'log-level')), 30_000);
    const [form, setForm] = useState({ subsystem: '', level: 'debug' });
    const [failure, setFailure] = useState(null);
    const apply = async (event) => {
        event.preventDefault();
        setFailure(null);
        try {
            await request('PUT', apiPath('system', 'log-level'), { body: { level: form.level,
                ...(form.subsystem && { subsystem: form.subsystem }) } });
        } catch (error) {
            setFailure(error);
        }
        reload();
    };
    const fields = { values: form, problem: failure,
        set: (changes) => setForm((old) => ({ ...old, ...changes })) };
    const own = Object.entries(value?.subsystems ?? {});
    return (
        <section class="card">
            <h2>Log level</h2>
            {!value && !problem && <Loading what="the log levels" />}
            {problem && <ProblemBox title="The log levels could not be read." problem={problem} />}
            {value && (
                <p>
                    <strong>{value.level}</strong> everywhere
                    {own.length > 0 && ', but '}
                    {own.map(([name, level], index) => (
                        <span key={name}>
                            {index > 0 && ', '}
                            <strong>{level}</strong> in {name}
                        </span>
                    ))}
                    . <span class="faint">Changes last until the next start or reload.</span>
                </p>
            )}
            <form class="inline-form" onSubmit={apply}>
                <SelectField
                    {...fields}
                    name="subsystem"
                    label="Where"
                    options={[['', 'everywhere'], ...subsystems.map((name) => [name, name])]}
                />
                <SelectField {...fields} name="level" label="Level" options={levels} />
                <Button type="submit" label="Set" />
            </form>
            {failure && <ProblemBox title="Not set." problem={failure} />}
        </section>
    );
}
