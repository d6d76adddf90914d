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

// {page: {items, total, next} or null, problem, reload}
export function useOperations(cursor) {
    const [state, setState] = useState({ page: null, problem: null, reload: () => {} });
    useEffect(() => {
        let over = false;
        let timer = 0;
        const load = async () => {
            timer = 0;
            try {
                const page = await get(apiPath('operations'), { limit: PAGE, cursor });
                if (!over)
                    setState({ page, problem: null, reload: load });
            } catch (problem) {
                if (!over)
                    setState((old) => ({ ...old, problem, reload: load }));
            }
        };
        const release = subscribe('operations');
        const unlisten = [
            on('operation', (news) => {
                setState((old) => {
                    const known = old.page?.items.some(({ id }) => id === news.id);
                    if (!known) {
                        if (!cursor)
                            timer ||= setTimeout(load, 300);
                        return old;
                    }
                    return { ...old, page: { ...old.page, items: old.page.items.map((item) =>
                        (item.id === news.id ? { ...item, ...news } : item)) } };
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
