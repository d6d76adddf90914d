// Rows of one height, of which only those in sight exist: the whole page scrolls, ten thousand rows
// cost as much as fifty.
import { Virtualizer, observeWindowOffset, observeWindowRect, windowScroll } from
    '@tanstack/virtual-core';
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
        overscan: 12,
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
    useLayoutEffect(() => {
        list.current._willUpdate();
        const top = box.current.getBoundingClientRect().top + window.scrollY;
        if (Math.abs(top - margin.current) > 1) {
            margin.current = top;
            redraw();
        }
    });
    useLayoutEffect(() => list.current.measure(), [height]);

    return (
        <div ref={box} role="rowgroup" class="virtual" style={{ height: list.current.getTotalSize() }}>
            {list.current.getVirtualItems().map((item) => (
                <div key={item.key} role="presentation" class="virtual-row" style={{
                    height: item.size,
                    transform: `translateY(${item.start - margin.current}px)`,
                }}>
                    {render(item.index)}
                </div>
            ))}
        </div>
    );
}
