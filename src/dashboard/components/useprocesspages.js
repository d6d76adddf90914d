// The fleet's processes, a page at a time as the server sorts and filters them. Rows on the page
// are kept current by messages; when a message means that the page would look different (a row
// came, went or moved), it is read again, but not while somebody points at a row.
import { useEffect, useRef, useState } from 'preact/hooks';
import { apiPath, get } from '../api.js';
import { keyOf } from '../lib/processset.js';
import { on } from '../socket.js';

export const PAGE = 100;
const READ_AGAIN = 1200;

export function matchesProcess(process, { q, state, environment }) {
    if (state && !state.split(',').includes(process.state))
        return false;
    if (environment && process.environment !== environment)
        return false;
    const hay = `${process.node} ${process.id}`.toLowerCase();
    return !q || hay.includes(q.toLowerCase());
}

const empty = { items: null, total: 0, next: null, problem: null, outdated: 0 };

// filter: {q, state, environment}; cursor: of the page, '' for the first. held(): whether somebody
// is about to use a row.
export function useProcessPages({ q, state, environment }, cursor, held) {
    const [page, setPage] = useState(empty);
    const reload = useRef(() => {});

    useEffect(() => {
        const filter = { q, state, environment };
        let items = new Map();
        let outdated = 0;
        let timer = 0;
        let reading = null;
        let pending = [];

        const load = async () => {
            clearTimeout(timer);
            timer = 0;
            reading?.abort();
            const mine = reading = new AbortController();
            pending = [];
            try {
                const answer = await get(apiPath('processes'),
                    { ...filter, limit: PAGE, cursor }, { signal: mine.signal });
                items = new Map(answer.items.map((process) => [keyOf(process), process]));
                outdated = 0;
                for (const process of pending)
                    update(process);
                reading = null;
                setPage({ items: [...items.values()], total: answer.total, next: answer.next,
                    problem: null, outdated: 0 });
            } catch (problem) {
                if (problem.name === 'AbortError')
                    return;
                reading = null;
                setPage((old) => ({ ...old, problem }));
            }
        };
        const again = () => {
            timer = 0;
            if (held() || document.hidden)
                timer = setTimeout(again, READ_AGAIN);
            else
                load();
        };
        // Returns whether the page as a whole may look different now.
        const update = (process) => {
            const key = keyOf(process);
            const known = items.get(key);
            if (known && process.revision >= known.revision) {
                items.set(key, { ...known, ...process });
                return known.state !== process.state;
            }
            return !known && matchesProcess(process, filter) && process.previous !== process.state;
        };
        let shown = 0;
        const show = () => {
            shown = 0;
            setPage((old) => ({ ...old, items: [...items.values()], outdated }));
        };
        const unlisten = [
            on('process', (process) => {
                if (reading) {
                    pending.push(process);
                    if (items.size === 0)
                        return;
                }
                if (update(process)) {
                    outdated++;
                    timer ||= setTimeout(again, READ_AGAIN);
                }
                shown ||= setTimeout(show, 60);
            }),
            on('snapshot', load),
        ];
        reload.current = load;
        setPage((old) => ({ ...old, items: null, problem: null }));
        load();
        return () => {
            reading?.abort();
            clearTimeout(timer);
            clearTimeout(shown);
            unlisten.forEach((stop) => stop());
        };
    }, [q, state, environment, cursor]);
    return { ...page, reload: () => reload.current() };
}
