// What can be done with a process, as far as the user may and its state allows.
import { outcomes, processAction } from '../actions.js';
import { keyOf } from '../lib/processset.js';
import { isActive } from '../lib/states.js';
import { can } from '../session.js';
import { Button } from './button.jsx';
import { ask } from './dialog.jsx';
import {
    ClearIcon,
    KeyboardIcon,
    RestartIcon,
    SignalIcon,
    StartIcon,
    StopIcon,
} from './icons.jsx';
import { sendSignal, sendText } from './signaldialogs.jsx';

async function clearLog(process) {
    const yes = await ask({
        title: 'Clear the log?',
        confirm: 'Clear both logs',
        danger: true,
        children: (
            <p>
                What <strong>{process.id}</strong> on <strong>{process.node}</strong> has written to
                its standard output and error logs is deleted. supervisord cannot clear only one.
            </p>
        ),
    });
    if (yes)
        processAction(process, 'clear');
}

// clear, talk: whether to offer to clear its logs, and to send it signals and text.
export function ProcessActions({ process, short, clear, talk }) {
    if (process.state === 'REMOVED' || !can('process:control', process.environment))
        return null;
    const busy = outcomes.value.get(keyOf(process))?.phase === 'pending';
    const name = `${process.id} on ${process.node}`;
    const act = (action) => () => processAction(process, action);
    const active = isActive(process);
    const label = (word) => (short ? `${word} ${name}` : word);
    return (
        <div class="actions" role="group" aria-label={`Actions for ${name}`}>
            {active ? (
                <Button
                    icon={StopIcon}
                    label={label('Stop')}
                    short={short}
                    disabled={busy}
                    onClick={act('stop')}
                />
            ) : (
                <Button
                    icon={StartIcon}
                    label={label('Start')}
                    short={short}
                    disabled={busy || process.state === 'STOPPING'}
                    onClick={act('start')}
                />
            )}
            <Button
                icon={RestartIcon}
                label={label('Restart')}
                short={short}
                disabled={busy || !active}
                onClick={act('restart')}
            />
            {talk && (
                <>
                    <Button
                        icon={SignalIcon}
                        label={label('Signal…')}
                        short={short}
                        disabled={busy || !active}
                        onClick={() => sendSignal(process)}
                    />
                    <Button
                        icon={KeyboardIcon}
                        label={label('Send text…')}
                        short={short}
                        disabled={busy || process.state !== 'RUNNING'}
                        onClick={() => sendText(process)}
                    />
                </>
            )}
            {clear && (process.stdout_log || process.stderr_log) && (
                <Button
                    icon={ClearIcon}
                    label={label('Clear log')}
                    short={short}
                    disabled={busy}
                    onClick={() => clearLog(process)}
                />
            )}
        </div>
    );
}
