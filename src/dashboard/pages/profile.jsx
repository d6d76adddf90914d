// Who is signed in, what they may do where, their tokens, their password.
import { useEffect } from 'preact/hooks';
import { moment } from '../lib/format.js';
import { bindings, expiresAt, user } from '../session.js';
import { Since } from '../components/age.jsx';
import { PasswordForm } from '../components/passwordform.jsx';
import { Tokens } from '../components/tokens.jsx';

function Permissions() {
    return (
        <section class="card">
            <h2>What you may do</h2>
            {bindings.value.length === 0 && (
                <p class="faint">Nothing so far: an administrator has to give you a role.</p>
            )}
            {bindings.value.map(({ environment, permissions }) => (
                <div key={environment} class="grant">
                    <p>
                        {environment === '*' ? (
                            'In every environment'
                        ) : (
                            <>
                                In <strong class="mono">{environment}</strong>
                            </>
                        )}
                    </p>
                    <p class="labels">
                        {permissions.map((permission) => (
                            <span key={permission} class="label mono">
                                {permission}
                            </span>
                        ))}
                    </p>
                </div>
            ))}
        </section>
    );
}

export function Profile() {
    const { username, full_name: name, email, created_at: created } = user.value;
    useEffect(() => {
        document.title = 'Your profile · cesid';
    }, []);
    return (
        <>
            <div class="page-head">
                <h1 class="breakable">{username}</h1>
                <span class="page-count">
                    {[name, email].filter(Boolean).join(' · ')}
                </span>
            </div>
            <p class="faint">
                User for <Since time={created} />.{' '}
                {expiresAt.value && `This session ends ${moment(expiresAt.value)}.`}
            </p>
            <div class="cards">
                <Permissions />
                <Tokens />
                <PasswordForm />
            </div>
        </>
    );
}
