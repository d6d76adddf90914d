// Processes of one node, read once and kept current by messages; read again after a lost connection.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, getAll } from '../api.js';
import { ProcessSet } from '../lib/processset.js';
import { on } from '../socket.js';

const nameOrder = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

// {items (by id; null before the first answer), problem, reload}
export function useProcesses(node) {
    const [state, setState] = useState({ items: null, problem: null, reload: () => {} });
    useEffect(() => {
        const set = new ProcessSet((process) => process.node === node);
        let read = null;
        let timer = 0;
        let known = false;

        const show = () => {
            timer = 0;
            if (known)
                setState((old) => ({ ...old, problem: null,
                    items: [...set.items.values()].sort(nameOrder) }));
        };
        const load = async () => {
            read?.abort();
            const mine = read = new AbortController();
            set.begin();
            try {
                set.load(await getAll(apiPath('nodes', node, 'processes'), {}, { signal: mine.signal }));
                known = true;
                show();
            } catch (problem) {
                if (problem.name !== 'AbortError')
                    setState((old) => ({ ...old, problem }));
            }
        };
        const unlisten = [
            on('process', (process) => {
                if (process.node === node && set.apply(process))
                    timer ||= setTimeout(show, 50);
            }),
            on('snapshot', load),
        ];
        setState({ items: null, problem: null, reload: load });
        load();
        return () => {
            read?.abort();
            clearTimeout(timer);
            unlisten.forEach((stop) => stop());
        };
    }, [node]);
    return state;
}
