// Forms that add, change and delete users.
import { apiPath, post, request } from '../api.js';
import { ask, askForm } from './dialog.jsx';
import { CheckField, TextField } from './fields.jsx';

function Person({ form }) {
    return (
        <>
            <TextField {...form} name="full_name" label="Full name" maxlength={255} />
            <TextField {...form} name="email" label="E-mail" type="email" maxlength={255} />
        </>
    );
}

export const addUser = () => askForm({
    title: 'Add a user',
    confirm: 'Add the user',
    initial: { username: '', full_name: '', email: '', password: '' },
    fields: (form) => (
        <>
            <TextField {...form} name="username" label="User name" required maxlength={64} />
            <Person form={form} />
            <TextField
                {...form}
                name="password"
                label="Password"
                type="password"
                required
                maxlength={1024}
                autocomplete="new-password"
                hint="May do nothing until a role is given"
            />
        </>
    ),
    submit: ({ username, full_name: name, email, password }) => post(apiPath('users'), { username,
        password, ...(name && { full_name: name }), ...(email && { email }) }),
});

export function editUser(user) {
    const before = { full_name: user.full_name ?? '', email: user.email ?? '', password: '',
        active: user.active };
    return askForm({
        title: `Edit ${user.username}`,
        confirm: 'Save',
        initial: before,
        fields: (form) => (
            <>
                <Person form={form} />
                <TextField
                    {...form}
                    name="password"
                    label="New password"
                    type="password"
                    maxlength={1024}
                    autocomplete="new-password"
                    hint="Left empty: as it is. A new one ends the user’s sessions."
                />
                <CheckField
                    {...form}
                    name="active"
                    label="Active"
                    hint="Otherwise neither sessions nor tokens of the user work"
                />
            </>
        ),
        submit: async (values) => {
            const body = Object.fromEntries(Object.entries(values)
                .filter(([key, value]) => value !== before[key]));
            if (Object.keys(body).length > 0)
                await request('PATCH', apiPath('users', user.username), { body });
            return true;
        },
    });
}

export const deleteUser = (user) => ask({
    title: 'Delete this user?',
    confirm: 'Delete 1 user',
    danger: true,
    typed: user.username,
    children: (
        <p>
            <strong>{user.username}</strong> is signed out everywhere, and loses every role and
            token. What the activity record says of them stays. Making the user inactive can be
            undone, this cannot.
        </p>
    ),
    submit: async () => {
        await request('DELETE', apiPath('users', user.username));
        return true;
    },
});
