// A page of the activity record. The first page is kept current by messages; while somebody reads
// a row, what comes waits and is only counted.
import { useEffect, useRef, useState } from 'preact/hooks';
import { apiPath, get } from '../api.js';
import { matchesRecord } from '../lib/activity.js';
import { on, subscribe } from '../socket.js';

export const PAGE = 100;
const empty = { items: null, total: 0, next: null, problem: null, waiting: 0 };

// query: () => the parameters as of now; key: changes when they do. held(): whether a row is read.
export function useActivity(query, key, cursor, held) {
    const [page, setPage] = useState(empty);
    const tools = useRef({ reload: () => {}, show: () => {} });

    useEffect(() => {
        let reading = null;
        let known = null; // the page, or null while it is read
        let waiting = [];
        let early = null; // what came during the read, which may not have it yet
        let asked = {};
        let shown = 0;

        const load = async () => {
            reading?.abort();
            const mine = reading = new AbortController();
            known = null;
            waiting = [];
            early = [];
            asked = query();
            try {
                known = await get(apiPath('activity'), { ...asked, limit: PAGE, cursor },
                    { signal: mine.signal });
                setPage({ ...known, problem: null, waiting: 0 });
                early.forEach(take);
            } catch (problem) {
                if (problem.name === 'AbortError')
                    return;
                early = null;
                setPage((old) => ({ ...old, problem }));
            }
        };
        const show = () => {
            if (!known)
                return;
            const fresh = new Set(waiting.map(({ id }) => id));
            known = { ...known, total: known.total + waiting.length,
                items: [...waiting, ...known.items.filter(({ id }) => !fresh.has(id))] };
            waiting = [];
            setPage({ ...known, problem: null, waiting: 0 });
        };
        const settle = () => {
            shown = 0;
            if (!held() && scrollY < 200)
                show();
            else if (known)
                setPage({ ...known, problem: null, waiting: waiting.length });
        };
        const take = (record) => {
            if (!known) {
                early?.push(record);
                return;
            }
            const queued = waiting.findIndex(({ id }) => id === record.id);
            if (known.items.some(({ id }) => id === record.id))
                known = { ...known, items: known.items.map((item) =>
                    (item.id === record.id ? record : item)) };
            else if (queued >= 0)
                waiting[queued] = record;
            else if (!cursor && matchesRecord(record, asked))
                waiting.unshift(record);
            else
                return;
            shown ||= setTimeout(settle, 100);
        };
        const release = subscribe('activity');
        const unlisten = [on('activity', take), on('snapshot', load)];
        tools.current = { reload: load, show };
        setPage(empty);
        load();
        return () => {
            reading?.abort();
            clearTimeout(shown);
            release();
            unlisten.forEach((stop) => stop());
        };
    }, [key, cursor]);
    return { ...page, reload: () => tools.current.reload(), show: () => tools.current.show() };
}
