// A scrolling pane of log lines that stays at the end while following. Scrolling up pauses, the end
// of the pane or the button follows again.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { LogLines } from './loglines.jsx';

export function LogView({ lines, partial, dropped, follow, onFollow, wrap, label, children }) {
    const pane = useRef(null);
    const expected = useRef(0);
    const size = useRef('');
    const toEnd = () => {
        const { current } = pane;
        current.scrollTop = current.scrollHeight;
        expected.current = current.scrollTop;
        size.current = `${current.clientWidth} ${current.clientHeight}`;
    };

    useLayoutEffect(() => {
        if (follow)
            toEnd();
    });
    // The pane may get smaller without anything being drawn.
    useEffect(() => {
        const element = pane.current;
        const observer = new ResizeObserver(() => {
            if (follow)
                toEnd();
        });
        observer.observe(element);
        return () => observer.disconnect();
    }, [follow]);

    const scrolled = () => {
        const { scrollTop, scrollHeight, clientWidth, clientHeight } = pane.current;
        // A pane of another size scrolls by itself: a phone was turned, a keyboard came up.
        if (follow && size.current !== `${clientWidth} ${clientHeight}`) {
            toEnd();
            return;
        }
        const atEnd = scrollHeight - scrollTop - clientHeight < 24;
        if (follow && !atEnd && scrollTop < expected.current - 4)
            onFollow(false);
        else if (!follow && atEnd && scrollTop > expected.current)
            onFollow(true); // not for the news of where toEnd() went before the pause
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
