// How each part of cesid is, since when, why, and the figures that it was judged by.
import { componentWords, figuresOf, healthLooks, sortedComponents } from '../lib/health.js';
import { Since } from './age.jsx';
import { Badge } from './state.jsx';

function Row({ name, component }) {
    return (
        <div role="row" class="row health-row">
            <div role="cell" class="cell-state">
                <Badge look={healthLooks[component.status] ?? healthLooks.failed} />
            </div>
            <div role="cell" class="cell-name">
                <span class="name">{name}</span>
                <small class="faint">{componentWords[name]}</small>
            </div>
            <div role="cell" class="cell-remark breakable">
                {component.reason}
            </div>
            <div role="cell" class="cell-figures">
                {figuresOf(component).map(([figure, value]) => (
                    <span key={figure}>
                        <span class="faint">{figure}</span> {value}
                    </span>
                ))}
            </div>
            <div role="cell" class="cell-since">
                <Since time={component.since} />
            </div>
        </div>
    );
}

export function Health({ components }) {
    return (
        <div class="table card flush" role="table" aria-label="Health">
            <div role="row" class="row row-head health-row">
                <div role="columnheader">Status</div>
                <div role="columnheader">Part</div>
                <div role="columnheader">Reason</div>
                <div role="columnheader">Figures</div>
                <div role="columnheader" class="cell-since">
                    For
                </div>
            </div>
            {sortedComponents(components).map(([name, component]) => (
                <Row key={name} name={name} component={component} />
            ))}
        </div>
    );
}
