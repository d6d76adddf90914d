// What stands where nothing is: why, and what to do about it.
import { can } from '../session.js';
import { Button } from './button.jsx';
import { AddIcon } from './icons.jsx';
import { addNode } from './nodeform.jsx';

export function Empty({ title, children }) {
    return (
        <div class="empty">
            <h2>{title}</h2>
            {children}
        </div>
    );
}

export function Loading({ what }) {
    return (
        <p class="loading" role="status">
            <span class="spinner" aria-hidden="true" />
            Reading {what}…
        </p>
    );
}

const sample = `nodes = (
  { name = "web-1"; environment = "production";
    url = "http://10.0.0.11:9001/RPC2";
    username = "ops"; password_file = "/etc/cesid/web-1.secret"; }
);`;

export function NoNodes() {
    return (
        <Empty title="No nodes yet">
            <p>
                A node is one supervisord that cesid watches. Add it to the configuration, by
                default <code>/etc/cesid/cesid.conf</code>, then reload with{' '}
                <code>kill -HUP $(pidof cesid)</code>. It shows up here by itself.
            </p>
            {can('node:write') && (
                <p>
                    <Button icon={AddIcon} label="Add a node here" onClick={addNode} />
                </p>
            )}
            <pre class="sample">{sample}</pre>
            <p class="faint">
                supervisord needs an <code>[inet_http_server]</code> or{' '}
                <code>[unix_http_server]</code> section and the{' '}
                <code>[rpcinterface:supervisor]</code> that its sample configuration has.
            </p>
        </Empty>
    );
}
