// A reporter for node's test runner: what a person wants to read on standard output, and a line
// "ok NAME" or "not ok NAME" a test in the file that CESID_TEST_REPORT names (appended).
import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';

const file = process.env.CESID_TEST_REPORT;

// Some versions of node wrap a file's tests into one test named by the file, and a suite is told
// like a test: neither is one, unless it failed by itself.
function isContainer(data) {
    const wrapper = data.details?.type === 'suite' || /\.test\.mjs$/.test(data.name);
    return wrapper && data.details?.error?.failureType !== 'testCodeFailure' &&
        data.details?.error?.failureType !== 'hookFailed' &&
        !/timed? ?out/i.test(data.details?.error?.failureType ?? '');
}

function record(line) {
    if (file)
        appendFileSync(file, line.replace(/\s+/g, ' ') + '\n');
}

export default async function* report(source) {
    let passed = 0, failed = 0;
    for await (const { type, data } of source) {
        switch (type) {
        case 'test:pass':
            if (isContainer(data) || data.skip || data.todo)
                break;
            passed++;
            record(`ok ${data.name}`);
            yield `ok ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
            break;
        case 'test:fail': {
            if (isContainer(data))
                break;
            failed++;
            record(`not ok ${data.name}`);
            const error = data.details.error;
            const cause = error?.cause ?? error;
            yield `not ok ${data.name} (${Math.round(data.details.duration_ms)} ms)\n` +
                `${inspect(cause, { depth: 6 })}`.replace(/^/gm, '    ') + '\n';
            break;
        }
        case 'test:stdout':
        case 'test:stderr':
            yield data.message;
            break;
        }
    }
    yield `${passed} passed, ${failed} failed\n`;
}
