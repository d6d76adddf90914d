// Ways through a list that the server pages by cursors: the trail is the cursors of the pages
// walked so far.
import { useState } from 'preact/hooks';
import { count } from '../lib/format.js';
import { Button } from './button.jsx';
import { NextIcon, PreviousIcon } from './icons.jsx';

// Another `of` starts at the first page. Returns {cursor, trail, setTrail}.
export function useTrail(of) {
    const [paging, setPaging] = useState({ of, trail: [] });
    const trail = paging.of === of ? paging.trail : [];
    return { cursor: trail.at(-1) ?? '', trail, setTrail: (next) => setPaging({ of, trail: next }) };
}

export function Pager({ page, size, trail, setTrail }) {
    if (trail.length === 0 && !page.next)
        return null;
    const first = trail.length * size;
    const go = (next) => () => {
        setTrail(next);
        scrollTo(0, 0);
    };
    return (
        <nav class="pager" aria-label="Pages of the list">
            <Button
                icon={PreviousIcon}
                label="Previous"
                disabled={trail.length === 0}
                onClick={go(trail.slice(0, -1))}
            />
            <span>
                {count(first + 1)} to {count(first + page.items.length)}
                {page.total > 0 && ` of ${count(page.total)}`}
            </span>
            <Button
                icon={NextIcon}
                label="Next"
                disabled={!page.next}
                onClick={go([...trail, page.next])}
            />
        </nav>
    );
}
