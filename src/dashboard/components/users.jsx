// Users, with the roles they have where.
import { apiPath, getAll } from '../api.js';
import { user as self } from '../session.js';
import { Ago } from './age.jsx';
import { bind } from './bindingdialogs.jsx';
import { AddIcon, ClearIcon, EditIcon } from './icons.jsx';
import { Listed } from './listed.jsx';
import { Menu } from './menu.jsx';
import { Badge } from './state.jsx';
import { usePolled } from './usepolled.js';
import { addUser, deleteUser, editUser } from './userdialogs.jsx';

const EVERY = 30_000;
const active = { tone: 'good', mark: 'disc', word: 'Active' };
const inactive = { tone: 'idle', mark: 'dash', word: 'Inactive' };

function Row({ user, bindings, actions }) {
    return (
        <div role="row" class="row user-row">
            <div role="cell" class="cell-state">
                <Badge look={user.active ? active : inactive} />
            </div>
            <div role="cell" class="cell-name">
                <span class="name">{user.username}</span>
                {user.username === self.value.username && <span class="faint">you</span>}
                <small class="faint breakable">
                    {[user.full_name, user.email].filter(Boolean).join(' · ')}
                </small>
            </div>
            <div role="cell" class="cell-roles labels">
                {bindings.length === 0 && <span class="faint">no role</span>}
                {bindings.map(({ id, role, environment }) => (
                    <span key={id} class="label">
                        {role} <span class="faint">in {environment}</span>
                    </span>
                ))}
            </div>
            <div role="cell" class="cell-age">
                <Ago time={user.last_login_at} />
            </div>
            <div role="cell" class="cell-actions">
                <Menu label={`Actions for ${user.username}`} short items={actions} />
            </div>
        </div>
    );
}

export function Users() {
    const users = usePolled(() => getAll(apiPath('users')), EVERY);
    const bindings = usePolled(() => getAll(apiPath('bindings')), EVERY);
    const roles = usePolled(() => getAll(apiPath('roles')), EVERY);
    const then = (work) => async () => {
        if (await work()) {
            users.reload();
            bindings.reload();
        }
    };
    return (
        <Listed
            title="Users"
            kind="user-row"
            list={users}
            add="Add a user"
            onAdd={then(addUser)}
            columns={['State', 'User', 'Roles', 'Signed in', '']}
        >
            {(user) => (
                <Row
                    key={user.id}
                    user={user}
                    bindings={(bindings.value ?? []).filter((one) => one.user === user.username)}
                    actions={[
                        {
                            label: 'Give a role…',
                            icon: AddIcon,
                            disabled: !roles.value,
                            onClick: then(() => bind([], roles.value, user.username)),
                        },
                        { label: 'Edit…', icon: EditIcon, onClick: then(() => editUser(user)) },
                        {
                            label: 'Delete…',
                            icon: ClearIcon,
                            danger: true,
                            onClick: then(() => deleteUser(user)),
                        },
                    ]}
                />
            )}
        </Listed>
    );
}
