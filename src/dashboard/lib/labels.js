// A node's labels as text to edit, one key=value a line, and back.
export const labelsText = (labels) =>
    Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`).join('\n');

// null when a line is not key=value.
export function parseLabels(text) {
    const labels = {};
    for (const line of text.split(/\n/).map((part) => part.trim()).filter(Boolean)) {
        const at = line.indexOf('=');
        if (at <= 0)
            return null;
        labels[line.slice(0, at).trim()] = line.slice(at + 1).trim();
    }
    return labels;
}
