// API tokens of one's own: made with a scope and an end, shown once, revoked.
import { apiPath, getAll, post, request } from '../api.js';
import { moment } from '../lib/format.js';
import { permissionNames } from '../lib/permissions.js';
import { can } from '../session.js';
import { Ago } from './age.jsx';
import { Button } from './button.jsx';
import { ask, askForm } from './dialog.jsx';
import { Loading } from './empty.jsx';
import { ManyField, SelectField, TextField } from './fields.jsx';
import { AddIcon, ClearIcon } from './icons.jsx';
import { ProblemBox } from './problem.jsx';
import { Secret } from './secret.jsx';
import { usePolled } from './usepolled.js';

const day = 86_400_000;
const lifetimes = [[1, 'a day'], [7, 'a week'], [30, '30 days'], [90, '90 days'], [365, 'a year'],
    ['', 'ever']];

async function addToken() {
    const mine = permissionNames.filter((permission) => can(permission));
    const made = await askForm({
        title: 'Make an API token',
        confirm: 'Make the token',
        wide: true,
        initial: { name: '', days: '30', scope: mine.filter((name) => name.endsWith(':read')) },
        fields: (form) => (
            <>
                <TextField {...form} name="name" label="Name" required maxlength={64}
                    hint="What it is for" />
                <SelectField {...form} name="days" label="Valid for" options={lifetimes} />
                <ManyField
                    {...form}
                    name="scope"
                    label="Scope"
                    hint="Of what you may do yourself, and never more than that"
                    options={mine.map((permission) => [permission, permission])}
                />
            </>
        ),
        submit: ({ name, days, scope }) => post(apiPath('tokens'), { name, scope,
            ...(days && { expires_at: new Date(Date.now() + days * day).toISOString() }) }),
    });
    if (made)
        await ask({
            title: 'Your new token',
            confirm: 'I have kept it',
            firm: true,
            children: (
                <>
                    <p>It is shown only now. Keep it like a password.</p>
                    <Secret text={made.token} label={`Token ${made.name}`} />
                    <p class="faint">
                        Sent as <code>Authorization: Bearer …</code>
                    </p>
                </>
            ),
        });
    return made;
}

const revoke = (token) => ask({
    title: 'Revoke this token?',
    confirm: 'Revoke 1 token',
    danger: true,
    children: (
        <p>
            Whatever uses <strong>{token.name}</strong> is refused from now on.
        </p>
    ),
    submit: async () => {
        await request('DELETE', apiPath('tokens', token.id));
        return true;
    },
});

function Token({ token, onRevoke }) {
    const over = token.expires_at && Date.parse(token.expires_at) < Date.now();
    return (
        <li class="token">
            <div>
                <p>
                    <strong class="breakable">{token.name}</strong>{' '}
                    <span class={over ? 'old' : 'faint'}>
                        {over ? 'expired ' : token.expires_at ? 'until ' : 'does not expire'}
                        {token.expires_at && moment(token.expires_at)}
                    </span>
                </p>
                <p class="labels">
                    {token.scope.map((permission) => (
                        <span key={permission} class="label mono">
                            {permission}
                        </span>
                    ))}
                </p>
                <p class="faint">
                    Made <Ago time={token.created_at} />
                    {token.last_used_at !== undefined && (
                        <>
                            , used <Ago time={token.last_used_at} />
                        </>
                    )}
                </p>
            </div>
            <Button icon={ClearIcon} short label={`Revoke ${token.name}`} onClick={onRevoke} />
        </li>
    );
}

export function Tokens() {
    const { value, problem, reload } = usePolled(() => getAll(apiPath('tokens')), 30_000);
    const then = (work) => async () => {
        if (await work())
            reload();
    };
    return (
        <section class="card tokens" aria-label="API tokens">
            <h2>API tokens</h2>
            {problem && (
                <ProblemBox title="They could not be read." problem={problem} onRetry={reload} />
            )}
            {!value && !problem && <Loading what="your tokens" />}
            {value?.length === 0 && (
                <p class="faint">None yet. A script or a monitor signs in with one of its own.</p>
            )}
            {value?.length > 0 && (
                <ul class="plain">
                    {value.map((token) => (
                        <Token key={token.id} token={token} onRevoke={then(() => revoke(token))} />
                    ))}
                </ul>
            )}
            <div>
                <Button icon={AddIcon} label="Make a token" onClick={then(addToken)} />
            </div>
        </section>
    );
}
