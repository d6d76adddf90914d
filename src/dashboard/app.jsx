// Which page is shown, and the frame around it.
import { useEffect } from 'preact/hooks';
import { spoken } from './actions.js';
import { route } from './router.js';
import { phase, refreshSession, startProblem } from './session.js';
import { start, stop } from './socket.js';
import { startStore, stopStore } from './store.js';
import { ConnectionBanner } from './components/connection.jsx';
import { Dialog } from './components/dialog.jsx';
import { Empty, Loading } from './components/empty.jsx';
import { Header } from './components/header.jsx';
import { Link } from './components/link.jsx';
import { ProblemBox } from './components/problem.jsx';
import { Access } from './pages/access.jsx';
import { Activity } from './pages/activity.jsx';
import { Config } from './pages/config.jsx';
import { Login } from './pages/login.jsx';
import { NewOperation } from './pages/newoperation.jsx';
import { Node } from './pages/node.jsx';
import { Nodes } from './pages/nodes.jsx';
import { Operation } from './pages/operation.jsx';
import { Operations } from './pages/operations.jsx';
import { Overview } from './pages/overview.jsx';
import { Process } from './pages/process.jsx';
import { Processes } from './pages/processes.jsx';
import { Profile } from './pages/profile.jsx';
import { SupervisorLog } from './pages/supervisorlog.jsx';
import { System } from './pages/system.jsx';

function Page() {
    const { name, node, process, id, part } = route.value;
    switch (name) {
        case 'overview':
            return <Overview />;
        case 'nodes':
            return <Nodes />;
        case 'node':
            return <Node key={node} name={node} />;
        case 'process':
            return <Process key={`${node} ${process}`} node={node} id={process} />;
        case 'supervisorlog':
            return <SupervisorLog key={node} name={node} />;
        case 'config':
            return <Config key={node} name={node} />;
        case 'processes':
            return <Processes />;
        case 'operations':
            return <Operations />;
        case 'activity':
            return <Activity />;
        case 'access':
            return <Access part={part} />;
        case 'system':
            return <System />;
        case 'profile':
            return <Profile />;
        case 'newoperation':
            return <NewOperation />;
        case 'operation':
            return <Operation key={id} id={id} />;
        default:
            return (
                <Empty title="There is no such page">
                    <p>
                        <Link to="">To the overview</Link>
                    </p>
                </Empty>
            );
    }
}

function Signed() {
    useEffect(() => {
        startStore();
        start();
        return () => {
            stop();
            stopStore();
        };
    }, []);
    const skip = (event) => {
        event.preventDefault();
        document.getElementById('main').focus();
    };
    return (
        <>
            <a class="skip" href="#main" onClick={skip}>
                To the content
            </a>
            <Header />
            <ConnectionBanner />
            <main id="main" tabindex={-1}>
                <Page />
            </main>
            <div class="hidden" role="status">
                {spoken.value}
            </div>
            <Dialog />
        </>
    );
}

function Unreachable() {
    useEffect(() => {
        const timer = setInterval(refreshSession, 5000);
        return () => clearInterval(timer);
    }, []);
    return (
        <main id="main">
            <ProblemBox
                title="cesid cannot be reached."
                problem={startProblem.value}
                onRetry={refreshSession}
            />
            <p class="faint">It is tried again every five seconds.</p>
        </main>
    );
}

export function App() {
    useEffect(() => {
        refreshSession();
    }, []);
    switch (phase.value) {
        case 'in':
            return <Signed />;
        case 'out':
            return <Login />;
        case 'unreachable':
            return <Unreachable />;
        default:
            return (
                <main id="main">
                    <Loading what="your session" />
                </main>
            );
    }
}
