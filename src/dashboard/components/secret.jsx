// A secret that is shown once, with a way to take it along.
import { useRef, useState } from 'preact/hooks';
import { Button } from './button.jsx';

export function Secret({ text, label }) {
    const input = useRef(null);
    const [copied, setCopied] = useState('');
    // Browsers give the clipboard to pages from https or this machine alone.
    const copy = async () => {
        input.current.select();
        try {
            await navigator.clipboard.writeText(text);
            setCopied('Copied');
        } catch {
            setCopied('Selected: copy it with Ctrl-C');
        }
    };
    return (
        <div class="secret">
            <input
                ref={input}
                class="mono"
                value={text}
                aria-label={label}
                readonly
                spellcheck={false}
                onFocus={(event) => event.currentTarget.select()}
            />
            <Button label="Copy" onClick={copy} />
            <span class="faint" role="status">
                {copied}
            </span>
        </div>
    );
}
