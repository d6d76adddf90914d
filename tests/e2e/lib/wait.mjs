// Waiting: on conditions, with deadlines, never for luck. CESID_TEST_SLOW stretches every deadline
// (a sanitizer build is several times slower).
import assert from 'node:assert/strict';

export const slow = Number(process.env.CESID_TEST_SLOW ?? 1);

export const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Calls condition until it gives something truthy and returns that. What condition throws counts
// as not yet, and is told when the time is up.
export async function until(what, condition, seconds = 10) {
    const deadline = performance.now() + seconds * slow * 1000;
    let last;
    for (;;) {
        try {
            const value = await condition();
            if (value)
                return value;
            last = undefined;
        } catch (error) {
            last = error;
        }
        if (performance.now() > deadline)
            assert.fail(`not within ${seconds * slow} s: ${what}${last ? ` (${last.message})` : ''}`);
        await sleep(0.03);
    }
}

// The promise's value, or a failure that says what was awaited.
export async function within(what, promise, seconds = 10) {
    let timer;
    const late = new Promise((resolve, reject) => {
        timer = setTimeout(() => {
            const message = typeof what === 'function' ? what() : what;
            reject(new assert.AssertionError({
                message: `not within ${seconds * slow} s: ${message}`,
            }));
        }, seconds * slow * 1000);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}
