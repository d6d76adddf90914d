// What is asked for now and then, because no message tells of it. read: () => a promise; what came
// last stays when a later read fails.
import { useEffect, useRef, useState } from 'preact/hooks';

// {value (null before the first answer), problem, at (when it was read), reload}
export function usePolled(read, every) {
    const [state, setState] = useState({ value: null, problem: null, at: 0 });
    const load = useRef(null);
    useEffect(() => {
        let over = false;
        load.current = async () => {
            try {
                const value = await read();
                if (!over)
                    setState({ value, problem: null, at: Date.now() });
            } catch (problem) {
                if (!over)
                    setState((old) => ({ ...old, problem }));
            }
        };
        load.current();
        const timer = setInterval(() => !document.hidden && load.current(), every);
        return () => {
            over = true;
            clearInterval(timer);
        };
    }, []);
    return { ...state, reload: () => load.current() };
}
