// Filters of the activity record. Their values live in the address.
import { useEffect, useRef } from 'preact/hooks';
import { knownActions, results, spans } from '../lib/activity.js';
import { query, setQuery } from '../router.js';
import { Choice } from './filters.jsx';

const WAIT = 300;

function Text({ name, label, list }) {
    const input = useRef(null);
    const timer = useRef(0);
    const value = query.value.get(name) ?? '';
    useEffect(() => () => clearTimeout(timer.current), []);
    useEffect(() => {
        if (document.activeElement !== input.current)
            input.current.value = value;
    }, [value]);
    const change = () => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setQuery({ [name]: input.current.value.trim() }), WAIT);
    };
    return (
        <input
            ref={input}
            type="search"
            class={`filter-text ${value ? 'set' : ''}`}
            aria-label={label}
            placeholder={label}
            title={`${label}: a part of it, or with * for anything`}
            defaultValue={value}
            onInput={change}
            list={list}
            spellcheck={false}
            autocapitalize="none"
        />
    );
}

function Moment({ name, label }) {
    return (
        <label class="moment">
            <span>{label}</span>
            <input
                type="datetime-local"
                value={query.value.get(name) ?? ''}
                onChange={(event) => setQuery({ [name]: event.currentTarget.value })}
            />
        </label>
    );
}

export function ActivityFilters({ onClear, filtered }) {
    return (
        <div class="filters activity-filters" role="search">
            <Text name="actor" label="User" />
            <Text name="action" label="Action" list="actions" />
            <datalist id="actions">
                {knownActions.map((action) => (
                    <option key={action} value={action} />
                ))}
            </datalist>
            <Text name="target" label="Target" />
            <Choice
                name="result"
                label="Result"
                all="Any result"
                options={Object.entries(results).map(([name, { word }]) => [name, word])}
            />
            <Choice name="span" label="Time" all="Any time" options={spans} />
            {query.value.get('span') === 'between' && (
                <>
                    <Moment name="since" label="from" />
                    <Moment name="until" label="to" />
                </>
            )}
            {filtered && (
                <button type="button" class="button quiet" onClick={onClear}>
                    Show all
                </button>
            )}
        </div>
    );
}
