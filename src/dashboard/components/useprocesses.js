// Processes of one node, read once and kept current by messages; read again after a loss.
//
// Failing ones come first. One that fails moves up at once; one that recovers keeps its place until
// the next read, so that rows do not run away from the pointer that just restarted them.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, getAll } from '../api.js';
import { ProcessSet } from '../lib/processset.js';
import { endedWell, isFailing } from '../lib/states.js';
import { on } from '../socket.js';

const nameOrder = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const urgent = (process) => isFailing(process) && !endedWell(process);

// {items (null before the first answer), problem, reload}
export function useProcesses(node) {
    const [state, setState] = useState({ items: null, problem: null, reload: () => {} });
    useEffect(() => {
        const set = new ProcessSet((process) => process.node === node);
        let read = null;
        let timer = 0;
        let known = false;
        let first = new Set(); // ids of those that stand first

        const show = () => {
            timer = 0;
            if (!known)
                return;
            const items = [...set.items.values()];
            for (const process of items)
                if (urgent(process))
                    first.add(process.id);
            items.sort((a, b) => first.has(b.id) - first.has(a.id) || nameOrder(a, b));
            setState((old) => ({ ...old, problem: null, items }));
        };
        const load = async () => {
            read?.abort();
            const mine = read = new AbortController();
            set.begin();
            try {
                const path = apiPath('nodes', node, 'processes');
                set.load(await getAll(path, {}, { signal: mine.signal }));
                known = true;
                first = new Set();
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
