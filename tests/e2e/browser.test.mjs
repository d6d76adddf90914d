// The dashboard in a real browser, as an operator uses it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { signal } from './lib/system.mjs';
import { slow, until } from './lib/wait.mjs';

const evilName = '<svg&onload=pwned=1>';
const evilLine = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
let web, db, cesid, browser, page;
const complaints = [];

before(async () => {
    web = new Supervisord({
        name: 'web-1', username: 'ops', password: 'hush',
        programs: {
            ticker: programs.ticker, sleeper: programs.sleeper, idle: programs.idle,
            [evilName]: {
                command: `/bin/sh -c 'while sleep 0.5; do echo "${evilLine
                    .replaceAll('"', '\\"')}"; done'`,
            },
        },
    });
    db = new Supervisord({
        name: 'db-1', listener: 'unix', programs: { fatal: programs.fatal, cat: programs.cat },
    });
    await Promise.all([web.start(), db.start()]);
    cesid = new Cesid({
        nodes: [nodeConfig(web, { environment: 'production' }),
            nodeConfig(db, { environment: 'staging' })],
    });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs('web-1', 'up');
    await cesid.nodeIs('db-1', 'up');

    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'],
    });
    page = await browser.newPage();
    page.setDefaultTimeout(10_000 * slow);
    page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning')
            complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
});
after(async () => {
    await browser?.close();
    let failure;
    await cesid?.stop().catch((error) => { failure = error; });
    web?.child?.kill();
    db?.child?.kill();
    if (failure)
        throw failure;
});

const row = (process) => page.getByRole('row').filter({ hasText: process });
const shows = (process, word) => row(process).filter({ hasText: word }).first().waitFor();

test('a wrong password is refused in words, the right one opens the fleet', async () => {
    await page.goto(cesid.url);
    await page.getByLabel('User name').fill('admin');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    assert.equal(complaints.filter((text) => !text.includes('401')).length, 0,
        complaints.join('\n'));
    complaints.length = 0;

    await page.getByLabel('Password').fill(cesid.adminPassword);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('fatal:fatal').first().waitFor();
    await page.getByText('Live updates are on').waitFor({ state: 'attached' });
    assert.equal(await page.evaluate(() => document.cookie), '', 'the cookie is hidden');
    assert.equal(await page.evaluate(() =>
        JSON.stringify({ ...localStorage, ...sessionStorage }).includes('eyJ')), false);
});

test('a process that dies turns red without a touch, and is started from the page', async () => {
    await page.goto(`${cesid.url}/nodes/web-1`);
    await shows('sleeper:sleeper', 'Running');
    const { pid } = await cesid.process('web-1', 'sleeper');
    signal(pid, 'SIGKILL');
    await shows('sleeper:sleeper', 'Exited');
    await page.getByRole('button', { name: 'Start sleeper:sleeper on web-1', exact: true }).click();
    await shows('sleeper:sleeper', 'Running');
    assert.notEqual((await cesid.process('web-1', 'sleeper')).pid, pid);
});

test('a process is restarted from the page, and the page says so', async () => {
    const { pid } = await cesid.process('web-1', 'ticker');
    await page.getByRole('button', { name: 'Restart ticker:ticker on web-1', exact: true }).click();
    await row('ticker:ticker').getByText(/Restarted/).waitFor();
    await shows('ticker:ticker', 'Running');
    assert.notEqual((await cesid.process('web-1', 'ticker')).pid, pid);
});

test('a failing action shows the reason', async () => {
    await page.goto(`${cesid.url}/nodes/db-1`);
    await page.getByRole('button', { name: 'Start fatal:fatal on db-1', exact: true }).click();
    // The row said why it had ended before; what came of the action stands below it.
    await row('fatal:fatal').locator('.outcome.failed')
        .getByText(/SPAWN_ERROR|ABNORMAL_TERMINATION/).waitFor();
    assert.deepEqual(complaints.filter((text) => !text.includes('502')), []);
    complaints.length = 0; // the browser remarks on a 502
});

test('a log is followed live and paused', async () => {
    await page.goto(`${cesid.url}/nodes/web-1/processes/ticker:ticker`);
    const log = page.getByRole('tabpanel');
    const last = async () => {
        const numbers = [...(await log.innerText()).matchAll(/tick (\d+)/g)];
        return numbers.length ? Number(numbers.at(-1)[1]) : 0;
    };
    const first = await until('lines', last);
    await until('more lines', async () => await last() >= first + 5);
    await page.getByRole('button', { name: 'Pause' }).click();
    const paused = await last();
    await page.getByRole('button', { name: /Follow \(\d+ new\)/ }).waitFor();
    assert.equal(await last(), paused);
    await page.getByRole('button', { name: /Follow/ }).click();
    await until('the lines since', async () => await last() > paused + 2);

    // Pressed after a line was drawn, before the pane tells that this scrolled it: it holds.
    await until('more lines than fit', () => page.evaluate(() => {
        const pane = document.querySelector('.log-pane');
        return pane.scrollHeight > pane.clientHeight;
    }));
    await page.evaluate(() => new Promise((resolve) => {
        const watch = new MutationObserver(() => {
            watch.disconnect();
            [...document.querySelectorAll('button')]
                .find(({ textContent }) => textContent === 'Pause').click();
            resolve();
        });
        watch.observe(document.querySelector('.log-pane'), { childList: true, subtree: true });
    }));
    await page.getByRole('button', { name: /Follow \(\d+ new\)/ }).waitFor();
});

test('an empty log points to the other one', async () => {
    await page.goto(`${cesid.url}/nodes/db-1/processes/fatal:fatal`);
    await page.getByText('stdout is empty so far.').waitFor();
    await page.getByRole('button', { name: 'Show stderr' }).click();
    await page.getByRole('tabpanel').getByText('no such luck').first().waitFor();
    await page.getByRole('button', { name: /^Show std/ }).waitFor({ state: 'detached' });
});

test('R9.5 names and log lines are text, never HTML', async () => {
    await page.goto(`${cesid.url}/nodes/web-1/processes/${
        encodeURIComponent(`${evilName}:${evilName}`)}`);
    const log = page.getByRole('tabpanel');
    await until('the line as it was written', async () =>
        (await log.innerText()).includes(evilLine));
    assert.ok((await page.locator('body').innerText()).includes(evilName));
    assert.equal(await log.locator('img, script').count(), 0);
    await page.goto(`${cesid.url}/processes?q=svg`);
    await page.getByText(evilName).first().waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
});

test('all processes are searched and filtered', async () => {
    await page.goto(`${cesid.url}/processes`);
    await row('cat:cat').first().waitFor();
    await page.getByRole('searchbox').or(page.getByRole('search').getByRole('textbox')).first()
        .fill('fatal');
    await row('cat:cat').first().waitFor({ state: 'detached' });
    await row('fatal:fatal').first().waitFor();
    assert.equal(await row('cat:cat').count(), 0, 'gone for good, not only while it was read');
});

test('the page says when it is cut off, and comes back by itself', async () => {
    await page.goto(cesid.url);
    await page.getByText('Live updates are on').waitFor({ state: 'attached' });
    assert.deepEqual(complaints, [], 'so far');
    await cesid.stop();
    await page.getByText('Live updates are interrupted', { exact: false }).first()
        .waitFor({ state: 'attached' });
    cesid.stopped = false;
    await cesid.start();
    await page.getByText('Live updates are on').waitFor({ state: 'attached', timeout: 30_000 * slow });
    complaints.length = 0; // the browser remarks on every failed connection
    await page.goto(`${cesid.url}/nodes/web-1`);
    await shows('sleeper:sleeper', 'Running');
});

test('a phone sees the same without scrolling sideways', async () => {
    await page.setViewportSize({ width: 375, height: 700 });
    for (const path of ['/', '/nodes', '/nodes/web-1', '/processes',
        '/nodes/web-1/processes/ticker:ticker']) {
        await page.goto(cesid.url + path);
        await page.getByText('Live updates are on').waitFor({ state: 'attached' });
        await until('it is read', async () => await page.locator('.loading').count() === 0);
        const [inner, outer] = await page.evaluate(() =>
            [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(inner <= outer + 1, `${path}: ${inner} > ${outer}`);
    }
});

test('nothing was complained about on the console', () => {
    assert.deepEqual(complaints, []);
});
