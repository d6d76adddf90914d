// A question before something that cannot be undone. One at a time; resolves to true or false.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

const open = signal(null);

// {title, children, confirm, danger}
export function ask(question) {
    open.value?.answer(false);
    return new Promise((resolve) => {
        open.value = {
            ...question,
            answer: (yes) => {
                open.value = null;
                resolve(yes);
            },
        };
    });
}

function Question({ question }) {
    const dialog = useRef(null);
    useEffect(() => {
        const before = document.activeElement;
        dialog.current.showModal();
        return () => before?.focus?.();
    }, []);
    return (
        <dialog
            ref={dialog}
            class="dialog"
            aria-labelledby="dialog-title"
            onCancel={(event) => {
                event.preventDefault();
                question.answer(false);
            }}
            onClick={(event) => event.target === dialog.current && question.answer(false)}
        >
            <form
                method="dialog"
                onSubmit={(event) => {
                    event.preventDefault();
                    question.answer(true);
                }}
            >
                <h2 id="dialog-title">{question.title}</h2>
                <div class="dialog-body">{question.children}</div>
                <div class="dialog-buttons">
                    <button
                        type="button"
                        class="button"
                        autofocus
                        onClick={() => question.answer(false)}
                    >
                        Cancel
                    </button>
                    <button
                        type="submit"
                        class={`button ${question.danger ? 'danger' : 'primary'}`}
                    >
                        {question.confirm}
                    </button>
                </div>
            </form>
        </dialog>
    );
}

export function Dialog() {
    const question = open.value;
    return question && <Question key={question.title} question={question} />;
}
