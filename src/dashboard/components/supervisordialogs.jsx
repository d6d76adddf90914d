// Questions before something is done to a whole supervisord.
import { nodeAction } from '../actions.js';
import { plural } from '../lib/format.js';
import { isActive } from '../lib/states.js';
import { ask } from './dialog.jsx';

const questions = {
    update: {
        title: 'Update this supervisord?',
        confirm: 'Update',
        text: () => (
            <p>
                It rereads its configuration. Groups that are gone are stopped and removed, changed
                ones are stopped and started anew, new ones are added. Reread shows which, before.
            </p>
        ),
    },
    'supervisor/restart': {
        title: 'Restart this supervisord?',
        confirm: 'Restart supervisord',
        typed: true,
        text: (running) => (
            <p>
                Its {plural(running, 'running process', 'running processes')} are stopped; after
                that it starts those that have <code>autostart</code>.
            </p>
        ),
    },
    'supervisor/shutdown': {
        title: 'Shut this supervisord down?',
        confirm: 'Shut supervisord down',
        typed: true,
        text: (running) => (
            <p>
                Its {plural(running, 'running process', 'running processes')} are stopped. cesid
                cannot start a supervisord: somebody has to do that on its machine.
            </p>
        ),
    },
};

export async function askSupervisor(node, processes, action) {
    const { title, confirm, typed, text } = questions[action];
    const running = (processes ?? []).filter(isActive).length;
    const yes = await ask({
        title,
        confirm,
        danger: true,
        typed: typed ? node.name : undefined,
        children: (
            <>
                <p>
                    <strong>1 node</strong>: <strong>{node.name}</strong>, environment{' '}
                    <strong>{node.environment}</strong>.
                </p>
                {text(running)}
            </>
        ),
    });
    if (yes)
        nodeAction(node.name, action);
}
