// What an action on a node answered beyond success: what changed, or what a check found.
import { duration, plural } from '../lib/format.js';
import { sentence } from './problem.jsx';

const changeWords = { added: 'added', changed: 'changed', removed: 'removed' };

function Changes({ answer, applied }) {
    const parts = Object.keys(changeWords).filter((part) => answer[part]?.length > 0);
    if (parts.length === 0)
        return <span class="answer">Nothing differs from what runs.</span>;
    return (
        <>
            <ul class="answer failures">
                {parts.map((part) => (
                    <li key={part}>
                        {plural(answer[part].length, 'group')} {changeWords[part]}:{' '}
                        <span class="mono breakable">{answer[part].join(', ')}</span>
                    </li>
                ))}
            </ul>
            {!applied && <span class="answer">Nothing was changed yet: Update applies it.</span>}
        </>
    );
}

function Found({ answer }) {
    return (
        <span class="answer">
            {answer.cause && (
                <>
                    Cause: <code class="cause">{answer.cause}</code>.{' '}
                </>
            )}
            {answer.detail && <span class="breakable">{sentence(answer.detail)} </span>}
            {answer.version && `supervisord ${answer.version}. `}
            {answer.latency !== null && `It answered in ${duration(answer.latency)}. `}
            {answer.methods?.length > 0 && `${plural(answer.methods.length, 'method')} offered.`}
        </span>
    );
}

export function Answer({ outcome: { action, answer } }) {
    if (!answer)
        return null;
    if (action === 'check')
        return <Found answer={answer} />;
    if (action === 'reread' || action === 'update')
        return <Changes answer={answer} applied={action === 'update'} />;
    return null;
}
