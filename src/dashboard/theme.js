// Light, dark, or as the system says. style/tokens.css reads the attribute.
import { effect, signal } from '@preact/signals';
import { readPreference, writePreference } from './storage.js';

export const themes = ['auto', 'light', 'dark'];

const stored = readPreference('theme', 'auto');
export const theme = signal(themes.includes(stored) ? stored : 'auto');

effect(() => {
    if (theme.value === 'auto')
        delete document.documentElement.dataset.theme;
    else
        document.documentElement.dataset.theme = theme.value;
    writePreference('theme', theme.value);
});

export function nextTheme() {
    theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length];
}
