// How far an operation is, as a bar and in words.
import { count } from '../lib/format.js';
import { lookOfOperation } from '../lib/operations.js';
import { Badge } from './state.jsx';

export const OperationState = ({ operation }) => <Badge look={lookOfOperation(operation)} />;

export function Progress({ operation: { total, succeeded, failed, state } }) {
    const left = Math.max(0, total - succeeded - failed);
    const label = [
        `${count(succeeded)} of ${count(total)} done`,
        failed > 0 && `${count(failed)} failed`,
        left > 0 && `${count(left)} ${state === 'running' ? 'to go' : 'not done'}`,
    ].filter(Boolean).join(', ');
    return (
        <span class="progress">
            <span class="bar" role="img" aria-label={label}>
                {failed > 0 && <span class="bar-part tone-fail" style={{ flexGrow: failed }} />}
                {succeeded > 0 && (
                    <span class="bar-part tone-good" style={{ flexGrow: succeeded }} />
                )}
                {left > 0 && <span class="bar-left" style={{ flexGrow: left }} />}
            </span>
            <span class="progress-words">{label}</span>
        </span>
    );
}
