// A page's list: its head with what can be added, then its rows, or why there are none.
import { count } from '../lib/format.js';
import { Button } from './button.jsx';
import { Loading } from './empty.jsx';
import { AddIcon } from './icons.jsx';
import { ProblemBox } from './problem.jsx';

// list: of usePolled; columns: the heads of what rows() returns for an item.
export function Listed({ title, list, add, onAdd, columns, kind, children }) {
    return (
        <>
            <div class="page-head">
                <h1>{title}</h1>
                <span class="page-count" role="status">
                    {list.value && count(list.value.length)}
                </span>
                <div class="actions">
                    <Button icon={AddIcon} kind="primary" label={add} onClick={onAdd} />
                </div>
            </div>
            {list.problem && (
                <ProblemBox
                    title={`The ${title.toLowerCase()} could not be read.`}
                    problem={list.problem}
                    onRetry={list.reload}
                />
            )}
            {!list.value && !list.problem && <Loading what={`the ${title.toLowerCase()}`} />}
            {list.value?.length > 0 && (
                <div class="table card flush" role="table" aria-label={title}>
                    <div role="row" class={`row row-head ${kind}`}>
                        {columns.map((column) => (
                            <div role="columnheader" key={column}>
                                {column || <span class="hidden">Actions</span>}
                            </div>
                        ))}
                    </div>
                    {list.value.map(children)}
                </div>
            )}
        </>
    );
}
