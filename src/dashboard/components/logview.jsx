// A scrolling pane of log lines that stays at the end while following. Scrolling up pauses, the end
// of the pane or the button follows again.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { LogLines } from './loglines.jsx';

export function LogView({ lines, partial, dropped, follow, onFollow, wrap, label, children }) {
    const pane = useRef(null);
    const expected = useRef(0);

    useLayoutEffect(() => {
        if (!follow)
            return;
        pane.current.scrollTop = pane.current.scrollHeight;
        expected.current = pane.current.scrollTop;
    });
    // The pane may get smaller without anything being drawn.
    useEffect(() => {
        const element = pane.current;
        const observer = new ResizeObserver(() => {
            if (follow)
                element.scrollTop = element.scrollHeight;
        });
        observer.observe(element);
        return () => observer.disconnect();
    }, [follow]);

    const scrolled = () => {
        const { scrollTop, scrollHeight, clientHeight } = pane.current;
        const atEnd = scrollHeight - scrollTop - clientHeight < 24;
        if (follow && !atEnd && scrollTop < expected.current - 4)
            onFollow(false);
        else if (!follow && atEnd)
            onFollow(true);
        expected.current = scrollTop;
    };
    return (
        <div
            ref={pane}
            class={`log-pane ${wrap ? 'wrap' : ''}`}
            role="log"
            aria-live="off"
            aria-label={label}
            tabindex={0}
            onScroll={scrolled}
        >
            {children}
            <LogLines lines={lines} partial={partial} dropped={dropped} />
        </div>
    );
}
