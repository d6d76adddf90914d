// Name, ways around, how current the page is, who is signed in.
import { useEffect, useRef, useState } from 'preact/hooks';
import { route } from '../router.js';
import { can, canEverywhere, logout, user } from '../session.js';
import { nextTheme, theme } from '../theme.js';
import { totals } from '../store.js';
import { count } from '../lib/format.js';
import { Connection } from './connection.jsx';
import { AutoIcon, DarkIcon, LeaveIcon, LightIcon, Logo, UserIcon } from './icons.jsx';
import { Link } from './link.jsx';
import { ProblemBox } from './problem.jsx';

const themeIcons = { auto: AutoIcon, light: LightIcon, dark: DarkIcon };

export function ThemeButton() {
    const Icon = themeIcons[theme.value];
    const label = `Theme: ${theme.value}`;
    return (
        <button
            type="button"
            class="button quiet"
            title={label}
            aria-label={label}
            onClick={nextTheme}
        >
            <Icon />
        </button>
    );
}

// On a phone the tabs scroll: the one that is shown is in sight.
function useTabInSight(width) {
    const tabs = useRef(null);
    const { name } = route.value;
    useEffect(() => {
        tabs.current.querySelector('[aria-current]')?.scrollIntoView(
            { inline: 'center', block: 'nearest' });
    }, [name, width]);
    return tabs;
}

function Tab({ to, names, children, alarm, alarmWord }) {
    const current = names.includes(route.value.name);
    return (
        <Link to={to} class="tab" aria-current={current ? 'page' : undefined}>
            {children}
            {alarm > 0 && (
                <span class="alarm">
                    {count(alarm)}
                    <span class="hidden"> {alarmWord}</span>
                </span>
            )}
        </Link>
    );
}

export function Header() {
    const [problem, setProblem] = useState(null);
    const leave = () => logout().catch(setProblem);
    const { nodes, processes } = totals.value;
    const tabs = useTabInSight(`${nodes.down > 0} ${processes.fatal > 0}`);
    return (
        <header class="header">
            <div class="header-row">
                <Link to="" class="brand">
                    <Logo />
                    cesid
                </Link>
                <nav class="tabs" aria-label="Pages" ref={tabs}>
                    <Tab to="" names={['overview']}>
                        Overview
                    </Tab>
                    <Tab
                        to="nodes"
                        names={['nodes', 'node', 'process', 'supervisorlog', 'config']}
                        alarm={nodes.down}
                        alarmWord="down"
                    >
                        Nodes
                    </Tab>
                    <Tab
                        to="processes"
                        names={['processes']}
                        alarm={processes.fatal}
                        alarmWord="fatal"
                    >
                        Processes
                    </Tab>
                    {can('process:read') && (
                        <Tab
                            to="operations"
                            names={['operations', 'operation', 'newoperation']}
                        >
                            Operations
                        </Tab>
                    )}
                    {can('activity:read') && (
                        <Tab to="activity" names={['activity']}>
                            Activity
                        </Tab>
                    )}
                    {canEverywhere('user:admin') && (
                        <Tab to="access/users" names={['access']}>
                            Access
                        </Tab>
                    )}
                    <Tab to="system" names={['system']}>
                        System
                    </Tab>
                </nav>
                <div class="header-end">
                    <Connection />
                    <ThemeButton />
                    <Link
                        to="profile"
                        class="button quiet who"
                        title={`Signed in as ${user.value.username}`}
                        aria-label={`Your profile: ${user.value.username}`}
                        aria-current={route.value.name === 'profile' ? 'page' : undefined}
                    >
                        <UserIcon />
                        <span>{user.value.username}</span>
                    </Link>
                    <button
                        type="button"
                        class="button quiet"
                        title="Sign out"
                        aria-label="Sign out"
                        onClick={leave}
                    >
                        <LeaveIcon />
                    </button>
                </div>
            </div>
            {problem && (
                <ProblemBox
                    title="Not signed out."
                    problem={problem}
                    onDismiss={() => setProblem(null)}
                />
            )}
        </header>
    );
}
