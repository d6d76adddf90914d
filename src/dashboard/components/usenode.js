// One node: what the fleet knows of it, with its latest read asked for now and then, because a read
// that found nothing new is no message.
import { useEffect, useState } from 'preact/hooks';
import { apiPath, get } from '../api.js';
import { loaded, nodeNamed, putNode } from '../store.js';

const ASK_EVERY = 10_000;

// {node (null while unknown), problem}
export function useNode(name) {
    const [problem, setProblem] = useState(null);
    useEffect(() => {
        let over = false;
        const ask = async () => {
            if (document.hidden)
                return;
            try {
                const node = await get(apiPath('nodes', name));
                if (over)
                    return;
                putNode(node);
                setProblem(null);
            } catch (failure) {
                if (!over)
                    setProblem(failure);
            }
        };
        setProblem(null);
        ask();
        const timer = setInterval(ask, ASK_EVERY);
        return () => {
            over = true;
            clearInterval(timer);
        };
    }, [name]);
    const node = nodeNamed(name);
    // A network failure is the connection indicator's news.
    return { node, problem: problem && (problem.isNetwork && loaded.value ? null : problem) };
}
