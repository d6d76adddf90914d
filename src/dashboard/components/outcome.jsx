// What came of an action, beside what it was done to.
import { dismiss, outcomes } from '../actions.js';
import { now } from '../clock.js';
import { duration, plural, span } from '../lib/format.js';
import { operationPath } from '../lib/routes.js';
import { kept, words } from '../lib/words.js';
import { Answer } from './answer.jsx';
import { CloseIcon, Mark } from './icons.jsx';
import { Link } from './link.jsx';
import { ProblemText } from './problem.jsx';

function Failures({ operation }) {
    const failures = (operation?.results ?? []).filter((result) => result.ok === false);
    if (failures.length === 0 || operation.total <= 1)
        return null;
    return (
        <ul class="failures">
            {failures.map((result) => (
                <li key={result.process}>
                    <strong>{result.process}</strong> {result.detail || result.code}
                </li>
            ))}
        </ul>
    );
}

function Dismiss({ of: key }) {
    return (
        <button
            type="button"
            class="button quiet"
            aria-label="Dismiss"
            onClick={() => dismiss(key)}
        >
            <CloseIcon />
        </button>
    );
}

function progress({ operation }) {
    if (!operation || operation.total <= 1)
        return '';
    const ended = (operation.succeeded ?? 0) + (operation.failed ?? 0);
    return ` ${ended} of ${plural(operation.total, 'process', 'processes')}`;
}

export function Outcome({ of: key }) {
    const outcome = outcomes.value.get(key);
    if (!outcome)
        return null;
    const word = words[outcome.action];
    if (outcome.phase === 'pending') {
        const waited = now.value - outcome.started;
        return (
            <div class="outcome pending">
                <span class="spinner" aria-hidden="true" />
                <span>
                    {word.doing}
                    {progress(outcome)}…{waited > 3000 && ` ${span(waited)}`}{' '}
                    {outcome.operation?.total > 1 && (
                        <Link to={operationPath(outcome.operation.id)}>Follow it</Link>
                    )}
                </span>
            </div>
        );
    }
    if (outcome.phase === 'ok')
        return (
            <div class="outcome ok tone-good">
                <Mark shape="disc" />
                <span>
                    {word.done}
                    {outcome.operation?.total > 1 &&
                        ` ${plural(outcome.operation.total, 'process', 'processes')}`}{' '}
                    in {duration(outcome.took / 1000)}
                    <Answer outcome={outcome} />
                </span>
                {kept.includes(outcome.action) && <Dismiss of={key} />}
            </div>
        );
    return (
        <div class="outcome failed">
            <span class="tone-fail">
                <Mark shape="cross" />
            </span>
            <div class="outcome-body">
                <strong>{word.not}.</strong> <ProblemText problem={outcome.problem} />
                <Failures operation={outcome.operation} />
                <Answer outcome={outcome} />
                {outcome.operation?.total > 1 && (
                    <Link to={operationPath(outcome.operation.id)}>All its results</Link>
                )}
                {outcome.retry && (
                    <p>
                        <button type="button" class="button" onClick={outcome.retry}>
                            Try all the same
                        </button>
                    </p>
                )}
            </div>
            <Dismiss of={key} />
        </div>
    );
}
