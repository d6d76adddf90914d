// Questions before a signal or a text is sent to a process.
import { processAction } from '../actions.js';
import { otherSignals, signals } from '../lib/words.js';
import { askForm } from './dialog.jsx';
import { CheckField, SelectField, TextField } from './fields.jsx';

export const signalOptions = [
    ...Object.entries(signals).map(([name, use]) => [name, `${name} – ${use}`]),
    ...otherSignals.map((name) => [name, name]),
];

export async function sendSignal(process) {
    const values = await askForm({
        title: 'Send a signal',
        confirm: 'Send it to 1 process',
        initial: { signal: 'HUP' },
        fields: (form) => (
            <>
                <p>
                    To <strong>{process.id}</strong> on <strong>{process.node}</strong>
                    {process.pid > 0 && `, pid ${process.pid}`}. supervisord sees what comes of it:
                    a process that ends may be started again by it.
                </p>
                <SelectField {...form} name="signal" label="Signal" options={signalOptions} />
            </>
        ),
        submit: (given) => given,
    });
    if (values)
        processAction(process, 'signal', { signal: values.signal });
}

export async function sendText(process) {
    const values = await askForm({
        title: 'Send text to its standard input',
        confirm: 'Send it to 1 process',
        initial: { data: '', newline: true },
        fields: (form) => (
            <>
                <p>
                    To <strong>{process.id}</strong> on <strong>{process.node}</strong>. The text is
                    not recorded.
                </p>
                <TextField {...form} name="data" label="Text" area rows={4} maxlength={65535} />
                <CheckField {...form} name="newline" label="End it with a newline" />
            </>
        ),
        submit: (given) => given,
    });
    const data = values && values.data + (values.newline ? '\n' : '');
    if (data)
        processAction(process, 'stdin', { data });
}
