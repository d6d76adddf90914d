// A button that says what it does: an icon with a word, or an icon alone with a label.
export function Button({ icon: Icon, label, short, kind = '', ...rest }) {
    return (
        <button
            type="button"
            class={`button ${kind}`}
            title={short ? label : undefined}
            aria-label={short ? label : undefined}
            {...rest}
        >
            {Icon && <Icon />}
            {!short && <span>{label}</span>}
        </button>
    );
}
