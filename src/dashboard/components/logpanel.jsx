// Both logs of a process, live. While paused the lines stay still and what arrives is counted.
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import { outcomes } from '../actions.js';
import { plainLine } from '../lib/ansi.js';
import { bytes, count } from '../lib/format.js';
import { keyOf } from '../lib/processset.js';
import { LogFeed } from '../logfeed.js';
import { readPreference, writePreference } from '../storage.js';
import { Button } from './button.jsx';
import { DownloadIcon, EraseIcon, PauseIcon, StartIcon, WrapIcon } from './icons.jsx';
import { LogView } from './logview.jsx';
import { ProblemText } from './problem.jsx';

const streams = ['stdout', 'stderr'];

const toldWords = {
    not_found: 'There is no such log yet. It is looked for again.',
    node_unreachable: 'The node cannot be reached. It is tried again.',
    node_unauthorized: 'The node refuses cesid’s password.',
    node_timeout: 'The node does not answer. It is tried again.',
    node_circuit_open: 'The node failed repeatedly. It is tried again after a while.',
    node_fault: 'supervisord cannot show this log.',
};

function useFeeds(process) {
    const [, redraw] = useReducer((times) => times + 1, 0);
    const feeds = useRef(null);
    const { node, id, stdout_log: stdout, stderr_log: stderr } = process;
    const key = `${node} ${id}`;
    if (feeds.current?.key !== key)
        feeds.current = {
            key,
            stdout: new LogFeed(node, id, 'stdout', redraw),
            stderr: new LogFeed(node, id, 'stderr', redraw),
        };
    useEffect(() => {
        const mine = feeds.current;
        if (stdout)
            mine.stdout.start();
        if (stderr)
            mine.stderr.start();
        return () => {
            mine.stdout.stop();
            mine.stderr.stop();
            feeds.current = null;
        };
    }, [key, Boolean(stdout), Boolean(stderr)]);

    // After "clear log" succeeded, offsets start anew.
    const outcome = outcomes.value.get(keyOf(process));
    const cleared = outcome?.action === 'clear' && outcome.phase === 'ok' ? outcome : null;
    useEffect(() => {
        if (!cleared)
            return;
        for (const stream of streams) if (process[`${stream}_log`]) feeds.current[stream].cleared();
    }, [cleared]);
    return feeds.current;
}

function StreamTab({ stream, feed, current, onSelect, missing }) {
    const other = stream === 'stdout' ? 'stderr' : 'stdout';
    const keys = (event) => {
        if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
            onSelect(other);
            document.getElementById(`tab-${other}`)?.focus();
        }
    };
    return (
        <button
            type="button"
            role="tab"
            id={`tab-${stream}`}
            aria-selected={current}
            aria-controls="log"
            tabindex={current ? 0 : -1}
            class="stream"
            disabled={missing}
            onClick={() => onSelect(stream)}
            onKeyDown={keys}
        >
            {stream}
            {!current && feed.arrived > 0 && (
                <span class="stream-new">
                    {count(feed.arrived)}
                    <span class="hidden"> new lines</span>
                </span>
            )}
        </button>
    );
}

function Notice({ feed }) {
    if (feed.problem)
        return (
            <div class="log-notice">
                <ProblemText problem={feed.problem} />
            </div>
        );
    if (feed.told)
        return (
            <div class="log-notice">
                {toldWords[feed.told] ?? `The stream ended: ${feed.told}.`}
            </div>
        );
    return null;
}

export function LogPanel({ process }) {
    const feeds = useFeeds(process);
    const [stream, setStream] = useState(process.stdout_log ? 'stdout' : 'stderr');
    const [wrap, setWrap] = useState(readPreference('wrap', 'yes') === 'yes');
    const [frozen, setFrozen] = useState(null); // the lines as they were when paused
    const feed = feeds[stream];
    const { buffer } = feed;
    const shown = frozen ?? {
        lines: buffer.lines,
        partial: plainLine(buffer.partial),
        dropped: buffer.dropped,
    };
    if (!frozen)
        feed.seen();

    const follow = (on) =>
        setFrozen(
            on
                ? null
                : {
                      lines: [...buffer.lines],
                      partial: plainLine(buffer.partial),
                      dropped: buffer.dropped,
                  },
        );
    const select = (next) => {
        setFrozen(null);
        setStream(next);
    };
    const toggleWrap = () => {
        writePreference('wrap', wrap ? 'no' : 'yes');
        setWrap(!wrap);
    };
    const clearView = () => {
        buffer.clear();
        setFrozen(null);
    };
    const empty = shown.lines.length === 0 && !shown.partial;
    const other = streams.find((name) => name !== stream);
    return (
        <section class="log card flush" aria-label="Log">
            <div class="log-bar">
                <div role="tablist" aria-label="Stream" class="streams">
                    {streams.map((name) => (
                        <StreamTab
                            key={name}
                            stream={name}
                            feed={feeds[name]}
                            current={name === stream}
                            onSelect={select}
                            missing={!process[`${name}_log`]}
                        />
                    ))}
                </div>
                <div class="actions">
                    {frozen ? (
                        <Button
                            icon={StartIcon}
                            kind="primary"
                            onClick={() => follow(true)}
                            label={
                                feed.arrived > 0 ? `Follow (${count(feed.arrived)} new)` : 'Follow'
                            }
                        />
                    ) : (
                        <Button icon={PauseIcon} label="Pause" onClick={() => follow(false)} />
                    )}
                    <Button
                        icon={WrapIcon}
                        label="Wrap lines"
                        short
                        aria-pressed={wrap}
                        kind={wrap ? 'on' : ''}
                        onClick={toggleWrap}
                    />
                    <Button
                        icon={EraseIcon}
                        label="Clear the view (the log itself stays)"
                        short
                        onClick={clearView}
                    />
                    <a
                        class="button"
                        href={`${feed.path}/download?stream=${stream}`}
                        download
                        title={`Download ${stream}`}
                        aria-label={`Download ${stream}`}
                    >
                        <DownloadIcon />
                    </a>
                </div>
            </div>
            <Notice feed={feed} />
            <div id="log" role="tabpanel" aria-labelledby={`tab-${stream}`} class="log-body">
                <LogView
                    {...shown}
                    follow={!frozen}
                    onFollow={follow}
                    wrap={wrap}
                    label={`${stream} of ${process.id}`}
                >
                    {empty && !feed.problem && (
                        <p class="log-empty">
                            {feed.loading
                                ? 'Reading…'
                                : buffer.next > 0
                                  ? 'Nothing new yet.'
                                  : `${stream} is empty so far.`}{' '}
                            {!feed.loading && feeds[other].arrived > 0 && (
                                <Button label={`Show ${other}`} onClick={() => select(other)} />
                            )}
                        </p>
                    )}
                </LogView>
            </div>
            <div class="log-foot">
                <span class="mono breakable">{process[`${stream}_log`]}</span>
                <span>
                    {frozen ? 'paused' : 'following'}
                    {buffer.next > 0 && ` · ${bytes(buffer.next)}`}
                </span>
            </div>
        </section>
    );
}
