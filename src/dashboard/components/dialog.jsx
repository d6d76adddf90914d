// A question before something that cannot be undone, or a form. One at a time.
//
// ask() resolves to true or false; askForm() to what its submit returned, or null when given up. A
// form stays open while its request is under way, and when it failed, with the reason.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ProblemBox } from './problem.jsx';

const open = signal(null);
let number = 0;

function show(question, givenUp) {
    open.value?.answer(open.value.givenUp);
    return new Promise((resolve) => {
        open.value = {
            ...question,
            givenUp,
            number: ++number,
            answer: (result) => {
                open.value = null;
                resolve(result);
            },
        };
    });
}

// {title, children, confirm, giveUp, danger, typed, firm, submit}: typed is what must be typed
// first; a firm one is closed by its own button alone.
export const ask = (question) => show({ submit: () => true, ...question }, false);

// {title, fields (a component of {values, set, problem}), initial, confirm, danger, wide, submit}
export const askForm = (form) => show(form, null);

function Typed({ wanted, value, onInput }) {
    return (
        <label class="field">
            <span>
                Type <strong class="mono">{wanted}</strong> to go on
            </span>
            <input
                value={value}
                onInput={(event) => onInput(event.currentTarget.value)}
                autocomplete="off"
                autocapitalize="none"
                spellcheck={false}
            />
        </label>
    );
}

function Question({ question }) {
    const dialog = useRef(null);
    const [values, setValues] = useState(question.initial ?? {});
    const [typed, setTyped] = useState('');
    const [busy, setBusy] = useState(false);
    const [problem, setProblem] = useState(null);
    const { fields: Fields } = question;
    const giveUp = () => !busy && !question.firm && question.answer(question.givenUp);

    useEffect(() => {
        const before = document.activeElement;
        dialog.current.showModal();
        (dialog.current.querySelector('.dialog-body input, .dialog-body select, ' +
            '.dialog-body textarea') ?? dialog.current.querySelector('.dialog-buttons button'))
            .focus();
        return () => before?.focus?.();
    }, []);
    const submit = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(null);
        try {
            question.answer(await question.submit(values));
        } catch (failure) {
            setProblem(failure);
            setBusy(false);
        }
    };
    return (
        <dialog
            ref={dialog}
            class={`dialog ${question.wide ? 'wide' : ''}`}
            aria-labelledby="dialog-title"
            onCancel={(event) => {
                event.preventDefault();
                giveUp();
            }}
            onClick={(event) => event.target === dialog.current && !Fields && giveUp()}
        >
            <form method="dialog" onSubmit={submit}>
                <h2 id="dialog-title">{question.title}</h2>
                <div class="dialog-body">
                    {question.children}
                    {Fields && (
                        <Fields
                            values={values}
                            problem={problem}
                            set={(changes) => setValues((old) => ({ ...old, ...changes }))}
                        />
                    )}
                    {question.typed && (
                        <Typed wanted={question.typed} value={typed} onInput={setTyped} />
                    )}
                    {problem && <ProblemBox problem={problem} />}
                </div>
                <div class="dialog-buttons">
                    {!question.firm && (
                        <button type="button" class="button dialog-cancel" onClick={giveUp}>
                            {question.giveUp ?? 'Cancel'}
                        </button>
                    )}
                    <button
                        type="submit"
                        class={`button ${question.danger ? 'danger' : 'primary'}`}
                        disabled={busy || (question.typed && typed !== question.typed)}
                    >
                        {busy && <span class="spinner" aria-hidden="true" />}
                        {question.confirm}
                    </button>
                </div>
            </form>
        </dialog>
    );
}

export function Dialog() {
    const question = open.value;
    return question && <Question key={question.number} question={question} />;
}
