// Rows of one height, of which only those in sight exist: the whole page scrolls, ten thousand rows
// cost as much as fifty.
import {
    Virtualizer,
    observeWindowOffset,
    observeWindowRect,
    windowScroll,
} from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useRef } from 'preact/hooks';

export function VirtualRows({ count, height, render, keyOf }) {
    const box = useRef(null);
    const [, redraw] = useReducer((times) => times + 1, 0);
    const margin = useRef(0);
    const list = useRef(null);

    const options = {
        count,
        estimateSize: () => height,
        getItemKey: keyOf,
        overscan: 8,
        scrollMargin: margin.current,
        getScrollElement: () => window,
        observeElementRect: observeWindowRect,
        observeElementOffset: observeWindowOffset,
        scrollToFn: windowScroll,
        initialOffset: () => window.scrollY,
        initialRect: { width: innerWidth, height: innerHeight },
        onChange: () => redraw(),
    };
    list.current ??= new Virtualizer(options);
    list.current.setOptions(options);

    useLayoutEffect(() => list.current._didMount(), []);
    useLayoutEffect(() => list.current._willUpdate());
    // Where the rows begin on the page moves with what is above them. Measured when the page's size
    // changes, not while scrolling: it makes the browser lay everything out.
    useLayoutEffect(() => {
        const measure = () => {
            const top = box.current.getBoundingClientRect().top + window.scrollY;
            if (Math.abs(top - margin.current) > 1) {
                margin.current = top;
                redraw();
            }
        };
        measure();
        const observer = new ResizeObserver(() => box.current && measure());
        observer.observe(document.body);
        return () => observer.disconnect();
    }, []);
    useLayoutEffect(() => list.current.measure(), [height]);

    return (
        <div
            ref={box}
            role="rowgroup"
            class="virtual"
            style={{
                height: `${list.current.getTotalSize()}px`,
            }}
        >
            {list.current.getVirtualItems().map((item) => (
                <div
                    key={item.key}
                    role="presentation"
                    class="virtual-row"
                    style={{
                        height: `${item.size}px`,
                        transform: `translateY(${item.start - margin.current}px)`,
                    }}
                >
                    {render(item.index)}
                </div>
            ))}
        </div>
    );
}
