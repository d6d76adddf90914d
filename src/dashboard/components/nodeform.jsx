// Nodes that the store keeps: adding, changing, deleting them.
import { Problem, apiPath, post, request } from '../api.js';
import { labelsText, parseLabels } from '../lib/labels.js';
import { nodePath } from '../lib/routes.js';
import { navigate } from '../router.js';
import { environments, putNode } from '../store.js';
import { ask, askForm } from './dialog.jsx';
import { CheckField, TextField } from './fields.jsx';

function labelsOf(text) {
    const labels = parseLabels(text);
    if (labels === null)
        throw new Problem({ status: 422, detail: 'A label is wrong',
            errors: [{ field: 'labels', message: 'each line must be key=value' }] });
    return labels;
}

function Settings({ form, node }) {
    return (
        <>
            <TextField
                {...form}
                name="environment"
                label="Environment"
                required
                maxlength={64}
                list="environments"
            />
            <datalist id="environments">
                {environments.value.map(({ name }) => (
                    <option key={name} value={name} />
                ))}
            </datalist>
            <TextField
                {...form}
                name="url"
                label="Address of its RPC interface"
                type="url"
                required
                maxlength={2048}
                placeholder="http://10.0.0.11:9001/RPC2"
                hint="http:// or https://. A unix socket belongs into the configuration file."
            />
            <TextField
                {...form}
                name="username"
                label="User name"
                maxlength={255}
                hint={node ? 'Left empty: as it is' : 'Empty when supervisord asks for none'}
            />
            <TextField
                {...form}
                name="password"
                label="Password"
                type="password"
                maxlength={1024}
                autocomplete="new-password"
                hint={node ? 'Left empty: as it is. Needed again with another address.'
                    : 'Kept encrypted, shown nowhere'}
            />
            <TextField
                {...form}
                name="labels"
                label="Labels"
                area
                rows={2}
                placeholder="role=web"
                hint="One key=value a line"
            />
            <CheckField {...form} name="enabled" label="Enabled" hint="cesid polls it" />
        </>
    );
}

export async function addNode() {
    const node = await askForm({
        title: 'Add a node',
        confirm: 'Add the node',
        wide: true,
        initial: { url: 'http://', enabled: true, labels: '', username: '', password: '' },
        fields: (form) => (
            <>
                <TextField
                    {...form}
                    name="name"
                    label="Name"
                    required
                    maxlength={64}
                    pattern="[A-Za-z0-9][A-Za-z0-9._\-]*"
                    title="Letters, digits, dot, underscore and hyphen"
                />
                <Settings form={form} />
            </>
        ),
        submit: ({ name, environment, url, username, password, labels, enabled }) =>
            post(apiPath('nodes'), { name, environment, url, enabled, labels: labelsOf(labels),
                ...(username && { username }), ...(password && { password }) }),
    });
    if (node) {
        putNode(node);
        navigate(nodePath(node.name));
    }
}

export async function editNode(node) {
    const before = { environment: node.environment, url: node.url, enabled: node.enabled,
        labels: labelsText(node.labels), username: '', password: '' };
    const changed = await askForm({
        title: `Edit ${node.name}`,
        confirm: 'Save',
        wide: true,
        initial: before,
        fields: (form) => <Settings form={form} node={node} />,
        submit: (values) => {
            const changes = Object.fromEntries(Object.entries(values)
                .filter(([key, value]) => value !== before[key]));
            if (changes.labels !== undefined)
                changes.labels = labelsOf(changes.labels);
            return Object.keys(changes).length === 0 ? node
                : request('PATCH', apiPath('nodes', node.name), { body: changes });
        },
    });
    if (changed)
        putNode(changed);
}

export async function deleteNode(node) {
    const gone = await ask({
        title: 'Delete this node?',
        confirm: 'Delete 1 node',
        danger: true,
        typed: node.name,
        children: (
            <p>
                cesid forgets <strong>{node.name}</strong> (environment{' '}
                <strong>{node.environment}</strong>), its address and its password. The supervisord
                and its processes go on.
            </p>
        ),
        submit: async () => {
            await request('DELETE', apiPath('nodes', node.name));
            return true;
        },
    });
    if (gone)
        navigate('nodes');
}
