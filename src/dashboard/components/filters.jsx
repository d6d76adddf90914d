// Search and choice above a list. Their values live in the address.
import { useEffect, useRef } from 'preact/hooks';
import { query, setQuery } from '../router.js';
import { CloseIcon, SearchIcon } from './icons.jsx';

const keyboard = matchMedia('(hover: hover)').matches;

// "/" puts the cursor there, as in most consoles.
export function Search({ label, wait = 0 }) {
    const input = useRef(null);
    const timer = useRef(0);
    const value = query.value.get('q') ?? '';

    useEffect(() => {
        const key = (event) => {
            if (
                event.key !== '/' ||
                event.ctrlKey ||
                event.metaKey ||
                event.altKey ||
                /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)
            )
                return;
            event.preventDefault();
            input.current?.select();
        };
        addEventListener('keydown', key);
        return () => removeEventListener('keydown', key);
    }, []);
    useEffect(() => () => clearTimeout(timer.current), []);
    useEffect(() => {
        if (document.activeElement !== input.current)
            input.current.value = value;
    }, [value]);

    const change = () => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setQuery({ q: input.current.value.trim() }), wait);
    };
    const clear = () => {
        input.current.value = '';
        setQuery({ q: '' });
        input.current.focus();
    };
    return (
        <div class="search">
            <SearchIcon />
            <input
                ref={input}
                type="search"
                aria-label={label}
                placeholder={keyboard ? `${label}  ( / )` : label}
                defaultValue={value}
                onInput={change}
                spellcheck={false}
                autocapitalize="none"
                onKeyDown={(event) => event.key === 'Escape' && clear()}
            />
            {value && (
                <button
                    type="button"
                    class="button quiet"
                    aria-label="Clear the search"
                    onClick={clear}
                >
                    <CloseIcon />
                </button>
            )}
        </div>
    );
}

// options: [value, words] pairs; '' stands for all.
export function Choice({ name, label, all, options }) {
    const value = query.value.get(name) ?? '';
    const known = options.some(([option]) => option === value);
    return (
        <label class="choice">
            <span class="hidden">{label}</span>
            <select
                value={value}
                onChange={(event) => setQuery({ [name]: event.currentTarget.value })}
                class={value ? 'set' : undefined}
            >
                <option value="">{all}</option>
                {value && !known && <option value={value}>{value}</option>}
                {options.map(([option, words]) => (
                    <option key={option} value={option}>
                        {words}
                    </option>
                ))}
            </select>
        </label>
    );
}
