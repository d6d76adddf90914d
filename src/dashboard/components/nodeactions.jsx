// What can be done with a node: its connection, all its processes, its supervisord, its settings.
import { nodeAction, nodeKey, outcomes } from '../actions.js';
import { plural } from '../lib/format.js';
import { configPath, supervisorLogPath } from '../lib/routes.js';
import { isActive } from '../lib/states.js';
import { navigate } from '../router.js';
import { can } from '../session.js';
import { Button } from './button.jsx';
import { ask } from './dialog.jsx';
import {
    CheckIcon,
    ClearIcon,
    EditIcon,
    LogIcon,
    PowerIcon,
    RefreshIcon,
    RestartIcon,
    StartIcon,
    StopIcon,
} from './icons.jsx';
import { Link } from './link.jsx';
import { Menu } from './menu.jsx';
import { deleteNode, editNode } from './nodeform.jsx';
import { Outcome } from './outcome.jsx';
import { askSupervisor } from './supervisordialogs.jsx';

const NAMED = 12;

const supervisorWords = {
    update: ['Update…', 'rereads, restarts groups that changed'],
    'supervisor/restart': ['Restart supervisord…', 'with every process under it'],
    'supervisor/shutdown': ['Shut supervisord down…', 'nothing starts it again from here'],
};

const questions = {
    'start-all': {
        title: 'Start all processes?',
        verb: 'Start',
        danger: false,
        touches: (process) => !isActive(process),
        none: 'All of them run already.',
    },
    'stop-all': {
        title: 'Stop all processes?',
        verb: 'Stop',
        danger: true,
        touches: isActive,
        none: 'None of them runs.',
    },
    'restart-all': {
        title: 'Restart all processes?',
        verb: 'Restart',
        danger: true,
        touches: () => true,
        none: '',
    },
};

async function confirmAll(node, processes, action) {
    const { title, verb, danger, touches, none } = questions[action];
    const touched = (processes ?? []).filter(touches);
    const yes = await ask({
        title,
        danger,
        confirm: `${verb} ${plural(touched.length, 'process', 'processes')}`,
        children:
            touched.length === 0 ? (
                <p>{none} cesid will ask the node all the same.</p>
            ) : (
                <>
                    <p>
                        {verb}s {plural(touched.length, 'process', 'processes')} on{' '}
                        <strong>{node.name}</strong> (environment{' '}
                        <strong>{node.environment}</strong>):
                    </p>
                    <ul class="dialog-list">
                        {touched.slice(0, NAMED).map((process) => (
                            <li key={process.id}>{process.id}</li>
                        ))}
                        {touched.length > NAMED && (
                            <li class="faint">and {touched.length - NAMED} more</li>
                        )}
                    </ul>
                    {action === 'restart-all' && touched.some((process) => !isActive(process)) && (
                        <p>This also starts those that are stopped now.</p>
                    )}
                </>
            ),
    });
    if (yes)
        nodeAction(node.name, action);
}

function more(node, processes, off) {
    const supervise = can('node:control', node.environment);
    const write = can('node:write', node.environment) && node.source !== 'config';
    return [
        supervise && {
            label: 'Its configuration',
            hint: 'what supervisord has of each program',
            icon: LogIcon,
            onClick: () => navigate(configPath(node.name)),
        },
        supervise && {
            label: 'Reread its configuration',
            hint: 'says what differs, changes nothing',
            icon: RefreshIcon,
            disabled: off,
            onClick: () => nodeAction(node.name, 'reread'),
        },
        ...(supervise ? ['update', 'supervisor/restart', 'supervisor/shutdown'] : []).map(
            (action) => ({
                label: supervisorWords[action][0],
                hint: supervisorWords[action][1],
                icon: action === 'supervisor/shutdown' ? PowerIcon : RestartIcon,
                danger: action !== 'update',
                disabled: off,
                onClick: () => askSupervisor(node, processes, action),
            }),
        ),
        write && { label: 'Edit the node…', icon: EditIcon, onClick: () => editNode(node) },
        write && {
            label: 'Delete the node…',
            hint: 'cesid forgets it; its supervisord goes on',
            icon: ClearIcon,
            danger: true,
            onClick: () => deleteNode(node),
        },
    ];
}

export function NodeActions({ node, processes }) {
    const busy = outcomes.value.get(nodeKey(node.name))?.phase === 'pending';
    const off = busy || node.state === 'disabled';
    const all = (action) => () => confirmAll(node, processes, action);
    return (
        <div class="node-actions">
            <div class="actions" role="group" aria-label={`Actions for ${node.name}`}>
                <Button
                    icon={RefreshIcon}
                    label="Refresh now"
                    disabled={off}
                    onClick={() => nodeAction(node.name, 'refresh')}
                />
                <Button
                    icon={CheckIcon}
                    label="Check"
                    title="Find out what is wrong with the connection"
                    disabled={off}
                    onClick={() => nodeAction(node.name, 'check')}
                />
                {can('process:control', node.environment) && processes?.length > 0 && (
                    <>
                        <Button
                            icon={StartIcon}
                            label="Start all"
                            disabled={off}
                            onClick={all('start-all')}
                        />
                        <Button
                            icon={RestartIcon}
                            label="Restart all"
                            disabled={off}
                            onClick={all('restart-all')}
                        />
                        <Button
                            icon={StopIcon}
                            label="Stop all"
                            disabled={off}
                            onClick={all('stop-all')}
                        />
                    </>
                )}
                {can('node:control', node.environment) && (
                    <Link to={supervisorLogPath(node.name)} class="button">
                        <LogIcon />
                        <span>supervisord’s log</span>
                    </Link>
                )}
                <Menu label="More" items={more(node, processes, off)} />
            </div>
            <Outcome of={nodeKey(node.name)} />
        </div>
    );
}
