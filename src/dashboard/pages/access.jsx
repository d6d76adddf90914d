// Who may do what where: users, roles, and the bindings between them.
import { useEffect } from 'preact/hooks';
import { canEverywhere } from '../session.js';
import { Bindings } from '../components/bindings.jsx';
import { Link } from '../components/link.jsx';
import { Roles } from '../components/roles.jsx';
import { Users } from '../components/users.jsx';

const parts = [['users', 'Users', Users], ['roles', 'Roles', Roles],
    ['bindings', 'Bindings', Bindings]];

export function Access({ part }) {
    const [, title, Part] = parts.find(([name]) => name === part);
    useEffect(() => {
        document.title = `${title} · cesid`;
    }, [title]);
    if (!canEverywhere('user:admin'))
        return <p class="note">You may not administer users.</p>;
    return (
        <>
            <nav class="subtabs" aria-label="Parts of access">
                {parts.map(([name, words]) => (
                    <Link
                        key={name}
                        to={`access/${name}`}
                        class="subtab"
                        aria-current={name === part ? 'page' : undefined}
                    >
                        {words}
                    </Link>
                ))}
            </nav>
            <Part />
        </>
    );
}
