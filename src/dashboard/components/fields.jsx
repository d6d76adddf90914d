// Fields of forms, each with its label, its hint, and what the server had to say about it.
import { useId } from 'preact/hooks';

function errorOf(problem, name) {
    return problem?.errors?.find(({ field }) => field === name || field.startsWith(`${name}/`));
}

// children: a function of what ties the control to its label, its hint and its error.
function Labelled({ name, label, hint, problem, children }) {
    const id = useId();
    const error = errorOf(problem, name);
    const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
    return (
        <label class="field">
            <span id={id}>{label}</span>
            {children({
                'aria-labelledby': id,
                'aria-describedby': told || undefined,
                'aria-invalid': error ? 'true' : undefined,
            })}
            {hint && (
                <small class="faint" id={`${id}-hint`}>
                    {hint}
                </small>
            )}
            {error && (
                <small class="field-error" role="alert" id={`${id}-error`}>
                    {error.message}
                </small>
            )}
        </label>
    );
}

export function TextField({ name, label, hint, values, set, problem, area, ...rest }) {
    const props = {
        name,
        value: values[name] ?? '',
        onInput: (event) => set({ [name]: event.currentTarget.value }),
        autocomplete: 'off',
        autocapitalize: 'none',
        spellcheck: false,
        ...rest,
    };
    return (
        <Labelled name={name} label={label} hint={hint} problem={problem}>
            {(ties) => (area ? <textarea {...props} {...ties} /> : <input {...props} {...ties} />)}
        </Labelled>
    );
}

// options: [value, words] pairs.
export function SelectField({ name, label, hint, values, set, problem, options, ...rest }) {
    return (
        <Labelled name={name} label={label} hint={hint} problem={problem}>
            {(ties) => (
                <select
                    name={name}
                    value={values[name] ?? ''}
                    onChange={(event) => set({ [name]: event.currentTarget.value })}
                    {...rest}
                    {...ties}
                >
                    {options.map(([value, words]) => (
                        <option key={value} value={value}>
                            {words}
                        </option>
                    ))}
                </select>
            )}
        </Labelled>
    );
}

export function CheckField({ name, label, hint, values, set, disabled }) {
    return (
        <label class="check">
            <input
                type="checkbox"
                name={name}
                checked={Boolean(values[name])}
                disabled={disabled}
                onChange={(event) => set({ [name]: event.currentTarget.checked })}
            />
            <span>
                {label}
                {hint && <small class="faint">{hint}</small>}
            </span>
        </label>
    );
}

// Many of a few: values[name] is the list of those that are ticked.
export function ManyField({ name, label, hint, values, set, problem, options }) {
    const chosen = values[name] ?? [];
    const error = errorOf(problem, name);
    const toggle = (option) => set({ [name]: chosen.includes(option)
        ? chosen.filter((other) => other !== option) : [...chosen, option] });
    return (
        <fieldset class="many">
            <legend>{label}</legend>
            {hint && <small class="faint">{hint}</small>}
            <div class="many-options">
                {options.map(([option, words]) => (
                    <label key={option} class="check">
                        <input
                            type="checkbox"
                            checked={chosen.includes(option)}
                            onChange={() => toggle(option)}
                        />
                        <span>{words}</span>
                    </label>
                ))}
            </div>
            {error && <small class="field-error">{error.message}</small>}
        </fieldset>
    );
}
