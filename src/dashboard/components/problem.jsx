// An error as the server told it, with the id that finds it in the server's log.
import { CloseIcon, WarnIcon } from './icons.jsx';

export const sentence = (text) =>
    (/^(?!cesid |supervisord )[a-z]+ /.test(text) ? text[0].toUpperCase() + text.slice(1) : text) +
    (/[.!?]$/.test(text) ? '' : '.');

export function ProblemText({ problem }) {
    const detail = sentence(problem.detail || problem.title || 'Something went wrong');
    const fault =
        problem.fault?.text && !detail.includes(problem.fault.text)
            ? sentence(problem.fault.text)
            : null;
    return (
        <>
            <span class="problem-detail">{detail}</span>
            {fault && <span class="problem-detail"> supervisord says: {fault}</span>}
            {problem.errors?.length > 0 && (
                <ul class="problem-list">
                    {problem.errors.map((error, index) => (
                        <li key={index}>
                            {error.field}: {error.message}
                        </li>
                    ))}
                </ul>
            )}
            {problem.requestId && <span class="problem-id">request {problem.requestId}</span>}
        </>
    );
}

export function ProblemBox({ problem, title, onRetry, onDismiss }) {
    return (
        <div class="problem" role="alert">
            <WarnIcon />
            <div class="problem-body">
                {title && <strong>{title} </strong>}
                <ProblemText problem={problem} />
            </div>
            {onRetry && (
                <button type="button" class="button" onClick={onRetry}>
                    Try again
                </button>
            )}
            {onDismiss && (
                <button type="button" class="button quiet" aria-label="Dismiss" onClick={onDismiss}>
                    <CloseIcon />
                </button>
            )}
        </div>
    );
}
