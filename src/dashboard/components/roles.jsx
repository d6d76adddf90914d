// Roles: names for sets of permissions.
import { apiPath, getAll, post, request } from '../api.js';
import { permissionNames, permissionWords } from '../lib/permissions.js';
import { ask, askForm } from './dialog.jsx';
import { ManyField, TextField } from './fields.jsx';
import { ClearIcon, EditIcon } from './icons.jsx';
import { Listed } from './listed.jsx';
import { Menu } from './menu.jsx';
import { usePolled } from './usepolled.js';

const options = permissionNames.map((name) => [name, (
    <>
        <span class="mono">{name}</span>
        <small class="faint">{permissionWords[name]}</small>
    </>
)]);

const Permissions = (form) => (
    <ManyField {...form} name="permissions" label="Permissions" options={options} />
);

const addRole = () => askForm({
    title: 'Add a role',
    confirm: 'Add the role',
    wide: true,
    initial: { name: '', permissions: ['node:read', 'process:read'] },
    fields: (form) => (
        <>
            <TextField {...form} name="name" label="Name" required maxlength={64} />
            <Permissions {...form} />
        </>
    ),
    submit: (values) => post(apiPath('roles'), values),
});

const editRole = (role) => askForm({
    title: `Edit ${role.name}`,
    confirm: 'Save',
    wide: true,
    initial: { permissions: role.permissions },
    fields: (form) => <Permissions {...form} />,
    submit: async ({ permissions }) => {
        await request('PUT', apiPath('roles', role.name), { body: { permissions } });
        return true;
    },
});

const deleteRole = (role) => ask({
    title: 'Delete this role?',
    confirm: 'Delete 1 role',
    danger: true,
    children: (
        <p>
            Whoever has <strong>{role.name}</strong> loses what it permits.
        </p>
    ),
    submit: async () => {
        await request('DELETE', apiPath('roles', role.name));
        return true;
    },
});

export function Roles() {
    const roles = usePolled(() => getAll(apiPath('roles')), 30_000);
    const then = (work) => async () => {
        if (await work())
            roles.reload();
    };
    return (
        <Listed
            title="Roles"
            kind="role-row"
            list={roles}
            add="Add a role"
            onAdd={then(addRole)}
            columns={['Role', 'Permissions', '']}
        >
            {(role) => (
                <div role="row" class="row role-row" key={role.name}>
                    <div role="cell" class="cell-name">
                        <span class="name">{role.name}</span>
                        {role.builtin && <small class="faint">built in</small>}
                    </div>
                    <div role="cell" class="cell-roles labels">
                        {role.permissions.map((permission) => (
                            <span
                                key={permission}
                                class="label mono"
                                title={permissionWords[permission]}
                            >
                                {permission}
                            </span>
                        ))}
                    </div>
                    <div role="cell" class="cell-actions">
                        {!role.builtin && (
                            <Menu
                                label={`Actions for ${role.name}`}
                                short
                                items={[
                                    {
                                        label: 'Edit…',
                                        icon: EditIcon,
                                        onClick: then(() => editRole(role)),
                                    },
                                    {
                                        label: 'Delete…',
                                        icon: ClearIcon,
                                        danger: true,
                                        onClick: then(() => deleteRole(role)),
                                    },
                                ]}
                            />
                        )}
                    </div>
                </div>
            )}
        </Listed>
    );
}
