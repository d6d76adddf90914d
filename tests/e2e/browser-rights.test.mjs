// The dashboard offers what the user may do, and nothing else; it says so when a right ends, and
// when the session does.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { Cesid, binary } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { runToEnd } from './lib/system.mjs';
import { until } from './lib/wait.mjs';

const password = 'a long enough password';
let fakes, cesid, browser, page;

before(async () => {
    fakes = await new Fakes({ nodes: 2, processes: 2 }).start();
    const [first, second] = fakes.configs();
    cesid = new Cesid({ nodes: [{ ...first, environment: 'production' },
        { ...second, environment: 'staging' }] });
    await cesid.start();
    await cesid.login();
    // Sees everything, acts in staging.
    const made = await runToEnd(binary, ['-c', cesid.file, '--create-admin', 'vera'],
        { input: `${password}\n` });
    assert.equal(made.code, 0, made.stderr);
    const { code, stderr } = await runToEnd('/usr/bin/python3', ['-c',
        'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=5); ' +
        'user, = db.execute("SELECT id FROM users WHERE username = \'vera\'").fetchone(); ' +
        'db.execute("DELETE FROM bindings WHERE user_id = ?", (user,)); ' +
        'db.executemany("INSERT INTO bindings (id, user_id, role, environment) ' +
        'VALUES (?, ?, ?, ?)", [("a" * 32, user, "viewer", "*"), ' +
        '("b" * 32, user, "operator", "staging")]); db.commit()',
        join(cesid.state, 'cesid.db')]);
    assert.equal(code, 0, stderr);
    await Promise.all([0, 1].map((i) => cesid.nodeIs(fakes.name(i), 'up')));
    browser = await Browser.start();
    ({ page } = browser);
    await browser.signIn(cesid, 'vera', password);
});
after(async () => {
    await browser?.close();
    try {
        await cesid?.stop();
    } finally {
        await fakes?.stop();
    }
});

const button = (name) => page.getByRole('button', { name, exact: typeof name === 'string' });
const row = (text) => page.getByRole('row').filter({ hasText: text });

test('where the user only looks, nothing is offered that acts', async () => {
    await browser.open('/nodes/n00000');
    await row('p0000:p0000').waitFor();
    for (const name of ['Start all', 'Stop all', 'More', /^(Start|Stop|Restart|Clear) /])
        assert.equal(await button(name).count(), 0, String(name));
    await browser.open('/nodes/n00000/processes/p0000:p0000');
    await page.getByRole('tabpanel').waitFor();
    assert.equal(await button('Signal…').count(), 0);
    await browser.open('/nodes');
    await row('n00000').waitFor();
    assert.equal(await button('Add a node').count(), 0);
});

test('where the user may act, it is offered, but no more of the node than that', async () => {
    await browser.open('/nodes/n00001');
    await button('Restart p0000:p0000 on n00001').click();
    await row('p0000:p0000').getByText(/Restarted/).waitFor();
    await button('More').click();
    await page.getByRole('menuitem', { name: /^Reread/ }).waitFor();
    assert.equal(await page.getByRole('menuitem', { name: /Edit|Delete/ }).count(), 0);
    await page.keyboard.press('Escape');
    await page.getByRole('menuitem').first().waitFor({ state: 'detached' });
});

test('a selection that reaches too far is refused in words', async () => {
    await browser.open('/operations/new');
    await page.getByLabel('Processes').fill('p0000');
    await button('Show what it covers').click();
    await page.getByRole('alert').getByText(/environments where you may not.*production/).waitFor();
    browser.forgive(403);
});

test('pages for administrators are neither linked nor shown', async () => {
    await browser.open('/system');
    await page.getByRole('table', { name: 'Health' }).waitFor();
    assert.equal(await button('Reload the configuration').count(), 0);
    assert.equal(await page.getByRole('link', { name: 'Access' }).count(), 0);
    await browser.open('/access/users');
    await page.getByText('You may not administer users').waitFor();
    await browser.open('/profile');
    await page.getByText('In every environment').waitFor();
    await page.locator('.grant').filter({ hasText: 'staging' }).getByText('process:control')
        .waitFor();
});

test('the tabs and menus work by keyboard alone', async () => {
    await browser.open('/nodes/n00001');
    await row('p0000:p0000').waitFor();
    await button('More').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem').first().waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    assert.match(await page.evaluate(() => document.activeElement.textContent), /^Update/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByText('1 node').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.closest('dialog') !== null),
        true);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // No waitForFunction: the page's CSP forbids what it evaluates, from the second try on.
    await until('the focus is back', () =>
        page.evaluate(() => document.activeElement.textContent === 'More'));
});

test('a session that was ended elsewhere leads to the sign-in, and back to the same place',
    async () => {
        await browser.open('/processes?state=RUNNING');
        // Another sign-in that changes the password ends it.
        const { token } = (await cesid.post('/auth/login', { username: 'vera', password },
            { token: null })).json;
        await cesid.api('PUT', '/auth/password', { token,
            body: { old: password, new: 'another long password' } });
        await page.getByText('Your session has ended').waitFor();
        await page.getByLabel('User name').fill('vera');
        await page.getByLabel('Password').fill('another long password');
        await button('Sign in').click();
        await row('p0000:p0000').first().waitFor();
        assert.match(page.url(), /processes\?state=RUNNING$/);
        browser.forgive(401);
    });

test('the console is silent', () => {
    assert.deepEqual(browser.complaints, []);
});
