import { useEffect, useRef, useState } from 'preact/hooks';
import { now } from '../clock.js';
import { endedBecause, login } from '../session.js';
import { ThemeButton } from '../components/header.jsx';
import { Logo } from '../components/icons.jsx';
import { ProblemBox } from '../components/problem.jsx';

export function Login() {
    const [busy, setBusy] = useState(false);
    const [problem, setProblem] = useState(null);
    const [lockedUntil, setLockedUntil] = useState(0);
    const name = useRef(null);
    const password = useRef(null);
    const wait = lockedUntil > 0 ? Math.ceil((lockedUntil - now.value) / 1000) : 0;

    useEffect(() => {
        document.title = 'Sign in · cesid';
        name.current.focus();
    }, []);

    const submit = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(null);
        try {
            await login(name.current.value, password.current.value);
        } catch (failure) {
            setProblem(failure);
            setLockedUntil(failure.retryAfter ? Date.now() + failure.retryAfter * 1000 : 0);
            setBusy(false);
            password.current?.select();
        }
    };

    return (
        <main class="login" id="main">
            <form class="login-card" onSubmit={submit}>
                <h1>
                    <Logo />
                    cesid
                </h1>
                {endedBecause.value && !problem && <p class="note">{endedBecause.value}</p>}
                <label class="field">
                    <span>User name</span>
                    <input
                        ref={name}
                        name="username"
                        autocomplete="username"
                        required
                        autocapitalize="none"
                        spellcheck={false}
                    />
                </label>
                <label class="field">
                    <span>Password</span>
                    <input
                        ref={password}
                        name="password"
                        type="password"
                        required
                        autocomplete="current-password"
                    />
                </label>
                {problem && <ProblemBox problem={problem} />}
                <button type="submit" class="button primary" disabled={busy || wait > 0}>
                    {wait > 0 ? `Wait ${wait} s` : busy ? 'Signing in…' : 'Sign in'}
                </button>
                <p class="faint login-help">
                    First start? The password of <code>admin</code> is in the file{' '}
                    <code>initial-admin-password</code> of the state directory; cesid’s log names
                    it.
                </p>
            </form>
            <div class="login-theme">
                <ThemeButton />
            </div>
        </main>
    );
}
