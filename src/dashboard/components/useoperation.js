// Operations: one, or a page of the list, kept current by messages.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, get } from '../api.js';
import { on, subscribe } from '../socket.js';

const ASK_EVERY = 2000;
export const PAGE = 50;

// {operation (null before the first answer), problem, put}
export function useOperation(id) {
    const [state, setState] = useState({ operation: null, problem: null });
    useEffect(() => {
        let over = false;
        let latest = null;
        const put = (news) => {
            // Progress of a large one comes without its results; a late answer changes nothing.
            if (over || (latest && latest.state !== 'running' && news.state === 'running'))
                return;
            latest = { ...news, results: news.results ?? latest?.results ?? [] };
            setState({ operation: latest, problem: null, put });
        };
        const ask = async () => {
            try {
                put(await get(apiPath('operations', id)));
            } catch (problem) {
                if (!over && !(problem.isNetwork && latest))
                    setState((old) => ({ ...old, problem }));
            }
        };
        const timer = setInterval(() => {
            if (!document.hidden && (!latest || latest.state === 'running'))
                ask();
        }, ASK_EVERY);
        const release = subscribe('operations');
        const unlisten = [
            on('operation', (news) => {
                if (news.id !== id)
                    return;
                put(news);
                if (news.state !== 'running' && !news.results)
                    ask();
            }),
            on('snapshot', ask),
        ];
        ask();
        return () => {
            over = true;
            clearInterval(timer);
            release();
            unlisten.forEach((stop) => stop());
        };
    }, [id]);
    return state;
}

const withNews = (page, news) => ({ ...page, items: page.items.map((item) =>
    (item.id === news.id ? { ...item, ...news } : item)) });

// {page: {items, total, next} or null, problem, reload}
export function useOperations(cursor) {
    const [state, setState] = useState({ page: null, problem: null, reload: () => {} });
    useEffect(() => {
        let over = false;
        let timer = 0;
        let asked = 0, answered = 0;
        const reads = new Set(); // of each: what came during it, which its answer may not have yet
        const load = async () => {
            timer = 0;
            const number = ++asked, early = [];
            let found;
            reads.add(early);
            try {
                const page = await get(apiPath('operations'), { limit: PAGE, cursor });
                found = { page: early.reduce(withNews, page), problem: null };
            } catch (problem) {
                found = { problem };
            }
            reads.delete(early);
            if (over || number < answered)
                return; // a later one was faster
            answered = number;
            setState((old) => ({ ...old, ...found, reload: load }));
        };
        const release = subscribe('operations');
        const unlisten = [
            on('operation', (news) => {
                reads.forEach((early) => early.push(news));
                setState((old) => {
                    const known = old.page?.items.some(({ id }) => id === news.id);
                    if (!known) {
                        if (!cursor)
                            timer ||= setTimeout(load, 300);
                        return old;
                    }
                    return { ...old, page: withNews(old.page, news) };
                });
            }),
            on('snapshot', load),
        ];
        setState((old) => ({ ...old, page: null }));
        load();
        return () => {
            over = true;
            clearTimeout(timer);
            release();
            unlisten.forEach((stop) => stop());
        };
    }, [cursor]);
    return state;
}
