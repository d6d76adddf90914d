// Seconds to wait before the attempt with that number (0 is the first after a loss): doubling from
// half a second to half a minute, each anywhere between its half and its whole, so that a thousand
// pages that lost the same server do not come back in step.
export function backoffDelay(attempt, random = Math.random) {
    const whole = Math.min(30, 0.5 * 2 ** Math.min(attempt, 10));
    return whole / 2 + random() * whole / 2;
}
