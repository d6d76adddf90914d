// A button that opens a short list of further actions. Arrow keys walk it, Escape closes it.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { MoreIcon } from './icons.jsx';

const MARGIN = 8; // of the window

function keepInSight(list) {
    const { left, right } = list.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const shift = left < MARGIN ? MARGIN - left : Math.min(0, width - MARGIN - right);
    if (shift !== 0)
        list.style.transform = `translateX(${shift}px)`;
    list.scrollIntoView({ block: 'nearest' });
}

// items: [{label, hint, icon, danger, disabled, onClick}], falsy ones are left out.
export function Menu({ label, items, short }) {
    const [open, setOpen] = useState(false);
    const root = useRef(null);
    const shown = items.filter(Boolean);

    // Before it is painted: the next key is for the list.
    useLayoutEffect(() => {
        if (!open)
            return undefined;
        keepInSight(root.current.querySelector('[role="menu"]'));
        root.current.querySelector('[role="menuitem"]:not(:disabled)')?.focus();
        const away = (event) => !root.current?.contains(event.target) && setOpen(false);
        addEventListener('pointerdown', away);
        addEventListener('focusin', away);
        return () => {
            removeEventListener('pointerdown', away);
            removeEventListener('focusin', away);
        };
    }, [open]);
    const close = () => {
        setOpen(false);
        root.current?.querySelector('button')?.focus();
    };
    const keys = (event) => {
        if (!open)
            return;
        const all = [...root.current.querySelectorAll('[role="menuitem"]:not(:disabled)')];
        const at = all.indexOf(document.activeElement);
        const to = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0,
            End: all.length - 1 }[event.key];
        if (event.key === 'Escape') {
            event.preventDefault();
            close();
        } else if (to !== undefined) {
            event.preventDefault();
            all[to % all.length]?.focus();
        }
    };
    if (shown.length === 0)
        return null;
    return (
        <div class="menu" ref={root} onKeyDown={keys}>
            <button
                type="button"
                class="button"
                aria-haspopup="menu"
                aria-expanded={open}
                aria-label={short ? label : undefined}
                title={short ? label : undefined}
                onClick={() => setOpen(!open)}
            >
                <MoreIcon />
                {!short && <span>{label}</span>}
            </button>
            {open && (
                <div class="menu-list" role="menu" aria-label={label}>
                    {shown.map(({ label: words, hint, icon: Icon, danger, disabled, onClick }) => (
                        <button
                            key={words}
                            type="button"
                            role="menuitem"
                            class={danger ? 'menu-danger' : undefined}
                            disabled={disabled}
                            onClick={() => {
                                close();
                                onClick();
                            }}
                        >
                            {Icon && <Icon />}
                            <span>
                                {words}
                                {hint && <small>{hint}</small>}
                            </span>
                        </button>
                    ))}
                </div>
            )}
        </div>
    );
}
