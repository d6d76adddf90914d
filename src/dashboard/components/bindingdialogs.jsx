// Giving a user a role in environments, and taking it away.
import { apiPath, post, request } from '../api.js';
import { environments } from '../store.js';
import { ask, askForm } from './dialog.jsx';
import { SelectField, TextField } from './fields.jsx';

// user: a name that is settled already.
export const bind = (users, roles, user) => askForm({
    title: user ? `Give ${user} a role` : 'Give a role',
    confirm: 'Give the role',
    initial: { user: user ?? users[0]?.username ?? '', role: roles.some(({ name }) =>
        name === 'viewer') ? 'viewer' : roles[0]?.name ?? '', environment: '*' },
    fields: (form) => (
        <>
            {!user && (
                <SelectField
                    {...form}
                    name="user"
                    label="User"
                    options={users.map(({ username }) => [username, username])}
                />
            )}
            <SelectField
                {...form}
                name="role"
                label="Role"
                options={roles.map(({ name }) => [name, name])}
            />
            <TextField
                {...form}
                name="environment"
                label="Environment"
                required
                maxlength={64}
                list="bound-environments"
                hint="A name, or with * for anything. Users and cesid itself are administered only
                    with *."
            />
            <datalist id="bound-environments">
                {['*', ...environments.value.map(({ name }) => name)].map((name) => (
                    <option key={name} value={name} />
                ))}
            </datalist>
        </>
    ),
    submit: (values) => post(apiPath('bindings'), values),
});

export const unbind = (binding) => ask({
    title: 'Take this role away?',
    confirm: 'Take 1 role away',
    danger: true,
    children: (
        <p>
            <strong>{binding.user}</strong> is no longer <strong>{binding.role}</strong> in{' '}
            <strong class="mono">{binding.environment}</strong>. It counts at once, in open sessions
            too.
        </p>
    ),
    submit: async () => {
        await request('DELETE', apiPath('bindings', binding.id));
        return true;
    },
});
