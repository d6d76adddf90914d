// A real browser on a cesid's dashboard: signed in, with everything that its console complained of.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { slow, until } from './wait.mjs';

export class Browser {
    complaints = [];

    static async start({ width = 1280, height = 800, ...context } = {}) {
        const browser = new Browser();
        browser.browser = await chromium.launch({
            executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'],
        });
        browser.page = await browser.browser.newPage({
            viewport: { width, height }, ...context,
        });
        browser.page.setDefaultTimeout(10_000 * slow);
        browser.page.on('console', (message) => {
            if (message.type() === 'error' || message.type() === 'warning')
                browser.complaints.push(message.text());
        });
        browser.page.on('pageerror', (error) => browser.complaints.push(String(error)));
        return browser;
    }

    async signIn(cesid, username = 'admin', password = cesid.adminPassword) {
        const { page } = this;
        this.url = cesid.url;
        await page.goto(cesid.url);
        await page.getByLabel('User name').fill(username);
        await page.getByLabel('Password').fill(password);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByText('Live updates are on').waitFor({ state: 'attached' });
        this.complaints.length = 0; // the first question, who this is, is answered 401
    }

    // Follows a link of the page's own, without loading anew.
    async open(path) {
        await this.page.goto(this.url + path);
        await this.page.getByText('Live updates are on').waitFor({ state: 'attached' });
    }

    // A status of 4xx and 5xx is remarked on by the browser itself: of those, what was expected.
    forgive(...statuses) {
        this.complaints = this.complaints.filter((text) =>
            !statuses.some((status) => text.includes(`status of ${status}`)));
    }

    async fitsPhone(paths) {
        const { page } = this;
        const size = page.viewportSize();
        await page.setViewportSize({ width: 390, height: 800 });
        for (const path of paths) {
            await this.open(path);
            await page.waitForLoadState('networkidle');
            await until('it is read', async () => await page.locator('.loading').count() === 0);
            const [inner, outer] = await page.evaluate(() =>
                [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
            assert.ok(inner <= outer + 1, `${path}: ${inner} > ${outer}`);
        }
        await page.setViewportSize(size);
    }

    // Every control has a name, and none is out of the keyboard's reach.
    async isAccessible() {
        const unnamed = await this.page.evaluate(() => [...document.querySelectorAll(
            'button, a[href], input, select, textarea')].filter((element) => {
            const words = element.getAttribute('aria-label') ?? element.textContent.trim();
            return !words && !element.labels?.length && !element.closest('[aria-hidden]');
        }).map((element) => element.outerHTML.slice(0, 200)));
        assert.deepEqual(unnamed, []);
        assert.equal(await this.page.locator('[tabindex]:not([tabindex="0"]):not([tabindex="-1"])')
            .count(), 0);
    }

    async close() {
        await this.browser?.close();
    }
}
