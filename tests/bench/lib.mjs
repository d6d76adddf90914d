// What the benchmarks share.
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

// --name=VALUE of the command line; numbers as numbers.
export function options() {
    return Object.fromEntries(process.argv.slice(2).filter((word) => word.startsWith('--'))
        .map((word) => {
            const [name, value = 'true'] = word.slice(2).split('=');
            return [name, Number.isNaN(Number(value)) ? value : Number(value)];
        }));
}

export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
