// The lines of a log, in blocks of which only changed ones are drawn again. Text nodes only.
import { Component } from 'preact';
import { bytes, count } from '../lib/format.js';

const BLOCK = 100;

const marks = {
    gap: ({ bytes: missing }) => `${bytes(missing)} are missing here`,
    skipped: ({ bytes: missing }) =>
        `${bytes(missing)} were skipped: the log grows faster than it can be shown`,
    restarted: () => 'the log starts anew here: it was cleared or rotated',
    cleared: () => 'the log was cleared',
};

class Block extends Component {
    shouldComponentUpdate(next) {
        return (
            next.first !== this.props.first ||
            next.last !== this.props.last ||
            next.stamp !== this.props.stamp
        );
    }

    render({ lines }) {
        return (
            <div class="log-block">
                {lines.map((line) =>
                    line.mark ? (
                        <div key={line.id} class="log-mark">
                            {marks[line.mark.kind](line.mark)}
                        </div>
                    ) : (
                        <div key={line.id} class="log-line">
                            {line.text || '\u200b'}
                        </div>
                    ),
                )}
            </div>
        );
    }
}

// Blocks are cut at multiples of BLOCK of the lines' ids, so that a block stays the same while
// lines go at the front and come at the end.
function blocksOf(lines) {
    const blocks = [];
    for (const line of lines) {
        const number = Math.floor(line.id / BLOCK);
        if (blocks.at(-1)?.number !== number)
            blocks.push({ number, lines: [] });
        blocks.at(-1).lines.push(line);
    }
    return blocks;
}

export function LogLines({ lines, partial, dropped }) {
    return (
        <>
            {dropped > 0 && (
                <div class="log-mark">{count(dropped)} earlier lines are no longer kept here</div>
            )}
            {blocksOf(lines).map((block) => (
                <Block
                    key={block.number}
                    lines={block.lines}
                    first={block.lines[0].id}
                    last={block.lines.at(-1).id}
                    stamp={block.lines.at(-1).mark?.bytes}
                />
            ))}
            {partial && <div class="log-line">{partial}</div>}
        </>
    );
}
