// Who did what, newest first: filtered and paged by the server, kept current.
import { useEffect, useRef, useState } from 'preact/hooks';
import { apiPath } from '../api.js';
import { filterNames, queryOf } from '../lib/activity.js';
import { count, plural } from '../lib/format.js';
import { query, setQuery } from '../router.js';
import { can } from '../session.js';
import { ActivityFilters } from '../components/activityfilters.jsx';
import { ActivityRow } from '../components/activityrow.jsx';
import { Button } from '../components/button.jsx';
import { Empty, Loading } from '../components/empty.jsx';
import { DownloadIcon, RefreshIcon } from '../components/icons.jsx';
import { Pager, useTrail } from '../components/pager.jsx';
import { ProblemBox } from '../components/problem.jsx';
import { PAGE, useActivity } from '../components/useactivity.js';

const COUNTED = 10_000; // the server counts no further

function Export({ filter, format, words }) {
    const link = useRef(null);
    // The time span ends when it is asked for, not when the page was drawn.
    const address = () =>
        `${apiPath('activity', 'export')}?${new URLSearchParams({ ...queryOf(filter, Date.now()),
            format })}`;
    return (
        <a
            ref={link}
            class="button"
            href={address()}
            download
            onClick={() => {
                link.current.href = address();
            }}
        >
            <DownloadIcon />
            <span>{words}</span>
        </a>
    );
}

function Rows({ items, table, open, setOpen }) {
    return (
        <div class="table card flush" role="table" aria-label="Activity" ref={table}>
            <div role="row" class="row row-head activity-row">
                <div role="columnheader">
                    <span class="hidden">Details</span>
                </div>
                <div role="columnheader">When</div>
                <div role="columnheader">User</div>
                <div role="columnheader">Action</div>
                <div role="columnheader">Target</div>
                <div role="columnheader">Detail</div>
                <div role="columnheader">Result</div>
            </div>
            {items.map((record) => (
                <ActivityRow
                    key={record.id}
                    record={record}
                    open={open === record.id}
                    onToggle={() => setOpen(open === record.id ? '' : record.id)}
                />
            ))}
        </div>
    );
}

export function Activity() {
    const table = useRef(null);
    const [open, setOpen] = useState('');
    const filter = Object.fromEntries(filterNames.map((name) =>
        [name, query.value.get(name) ?? '']));
    const filtered = Object.values(filter).some(Boolean);
    const key = JSON.stringify(filter);
    const { cursor, trail, setTrail } = useTrail(key);
    const opened = useRef('');
    opened.current = open;
    const held = () => Boolean(opened.current || table.current?.matches(':hover') ||
        table.current?.contains(document.activeElement));
    const page = useActivity(() => queryOf(filter, Date.now()), key, cursor, held);
    const clear = () => setQuery(Object.fromEntries(filterNames.map((name) => [name, ''])));

    useEffect(() => {
        document.title = 'Activity · cesid';
    }, []);
    if (!can('activity:read'))
        return <p class="note">You may not see the activity record.</p>;
    return (
        <>
            <div class="page-head">
                <h1>Activity</h1>
                <span class="page-count" role="status">
                    {page.items &&
                        (page.total >= COUNTED ? `over ${count(COUNTED)} records`
                            : plural(page.total, 'record'))}
                </span>
                {page.waiting > 0 && (
                    <Button
                        icon={RefreshIcon}
                        label={`Show ${count(page.waiting)} new`}
                        onClick={() => {
                            setOpen('');
                            page.show();
                            scrollTo(0, 0);
                        }}
                    />
                )}
                <div class="actions">
                    <Export filter={filter} format="csv" words="CSV" />
                    <Export filter={filter} format="jsonl" words="JSON lines" />
                </div>
            </div>
            <ActivityFilters onClear={clear} filtered={filtered} />
            {page.problem && (
                <ProblemBox
                    title="The activity could not be read."
                    problem={page.problem}
                    onRetry={page.reload}
                />
            )}
            {!page.items && !page.problem && <Loading what="the activity" />}
            {page.items?.length === 0 && (
                <Empty title={filtered ? 'No record matches' : 'Nothing has been recorded yet'}>
                    {filtered && (
                        <p>
                            <Button label="Show all" onClick={clear} />
                        </p>
                    )}
                </Empty>
            )}
            {page.items?.length > 0 && (
                <Rows items={page.items} table={table} open={open} setOpen={setOpen} />
            )}
            {page.items && <Pager page={page} size={PAGE} trail={trail} setTrail={setTrail} />}
        </>
    );
}
