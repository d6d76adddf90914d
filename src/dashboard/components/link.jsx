// A link within the page: a real address, followed without loading.
import { hrefOf, navigate } from '../router.js';

function plainClick(event) {
    return (
        event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    );
}

export function Link({ to, children, ...rest }) {
    const follow = (event) => {
        if (event.defaultPrevented || !plainClick(event))
            return;
        event.preventDefault();
        navigate(to);
    };
    return (
        <a href={hrefOf(to)} onClick={follow} {...rest}>
            {children}
        </a>
    );
}
