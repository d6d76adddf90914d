// Curves over time, one below the other, as SVG: { name, unit, values: [[seconds, value]] }.
const width = 900, height = 130, left = 80, gap = 34;

const escape = (text) => String(text).replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);

export function plot(title, curves) {
    const total = gap + curves.length * (height + gap);
    let out = `<svg xmlns="http://www.w3.org/2000/svg" width="${width + left + 20}" height="${total}" ` +
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n' +
        `<text x="${left}" y="20" font-weight="bold">${escape(title)}</text>\n`;
    curves.forEach(({ name, unit, values }, i) => {
        const top = gap + i * (height + gap);
        const most = Math.max(...values.map(([, value]) => value), 1e-9) * 1.05;
        const last = Math.max(...values.map(([at]) => at), 1);
        const points = values.map(([at, value]) => `${(left + at / last * width).toFixed(1)},${
            (top + height - value / most * height).toFixed(1)}`).join(' ');
        out += `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#ccc"/>\n` +
            `<text x="${left}" y="${top - 4}">${escape(name)}</text>\n` +
            `<text x="${left - 6}" y="${top + 12}" text-anchor="end">${most.toPrecision(3)} ${
                escape(unit)}</text>\n` +
            `<text x="${left - 6}" y="${top + height}" text-anchor="end">0</text>\n` +
            `<text x="${left + width}" y="${top + height + 14}" text-anchor="end">${
                Math.round(last)} s</text>\n` +
            `<polyline points="${points}" fill="none" stroke="#1769aa" stroke-width="1.2"/>\n`;
    });
    return `${out}</svg>\n`;
}
