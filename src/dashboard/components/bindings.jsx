// Bindings: who has which role where.
import { apiPath, getAll } from '../api.js';
import { bind, unbind } from './bindingdialogs.jsx';
import { Button } from './button.jsx';
import { ClearIcon } from './icons.jsx';
import { Listed } from './listed.jsx';
import { usePolled } from './usepolled.js';

const EVERY = 30_000;

export function Bindings() {
    const bindings = usePolled(() => getAll(apiPath('bindings')), EVERY);
    const users = usePolled(() => getAll(apiPath('users')), EVERY);
    const roles = usePolled(() => getAll(apiPath('roles')), EVERY);
    const then = (work) => async () => {
        if (await work())
            bindings.reload();
    };
    return (
        <Listed
            title="Bindings"
            kind="binding-row"
            list={bindings}
            add="Give a role"
            onAdd={then(() => bind(users.value ?? [], roles.value ?? []))}
            columns={['User', 'Role', 'Environment', '']}
        >
            {(binding) => (
                <div role="row" class="row binding-row" key={binding.id}>
                    <div role="cell" class="cell-name">
                        <span class="name">{binding.user}</span>
                    </div>
                    <div role="cell" class="cell-role breakable">
                        {binding.role}
                    </div>
                    <div role="cell" class="cell-environment breakable">
                        {binding.environment === '*' ? (
                            <>
                                <code>*</code> <span class="faint">every one</span>
                            </>
                        ) : (
                            <code>{binding.environment}</code>
                        )}
                    </div>
                    <div role="cell" class="cell-actions">
                        <Button
                            icon={ClearIcon}
                            short
                            label={`Take ${binding.role} from ${binding.user}`}
                            onClick={then(() => unbind(binding))}
                        />
                    </div>
                </div>
            )}
        </Listed>
    );
}
