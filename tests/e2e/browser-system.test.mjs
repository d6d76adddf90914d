// The system page and the profile: health with its figures, a reload and what it changed, log
// levels, a new password.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';

let fakes, cesid, browser, page;

before(async () => {
    fakes = await new Fakes({ nodes: 2, processes: 2 }).start();
    await fakes.fault('1', 'reset');
    cesid = new Cesid({ nodes: fakes.configs() });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs('n00001', 'down');
    browser = await Browser.start();
    ({ page } = browser);
    await browser.signIn(cesid);
});
after(async () => {
    await browser?.close();
    try {
        await cesid?.stop();
    } finally {
        await fakes?.stop();
    }
});

const row = (text) => page.getByRole('table', { name: 'Health' }).getByRole('row')
    .filter({ hasText: text });
const button = (name) => page.getByRole('button', { name, exact: true });
const dialog = () => page.getByRole('dialog');

test('health names what is wrong, and says why and since when', async () => {
    await browser.open('/system');
    await row('1 of 2 nodes').filter({ hasText: 'Degraded' }).locator('time').waitFor();
    await row('store').filter({ hasText: 'Ok' }).waitFor();
    await page.locator('.page-head').getByText('Degraded').waitFor();
    await page.getByText(`cesid ${(await cesid.get('/system')).version}`).waitFor();
    await page.getByText(/^read (just now|\d+ s ago)$/).waitFor();
});

test('a reload says what it changed, and a mistake is refused with its line', async () => {
    const text = readFileSync(cesid.file, 'utf8');
    cesid.nodes = cesid.nodes.slice(0, 1);
    cesid.config = { websocket: { clients: 77 }, timeouts: { log: 11.0 } };
    cesid.configure();
    await button('Reload the configuration').click();
    await dialog().getByRole('button', { name: 'Reload' }).click();
    await page.getByText('1 node removed: n00001').waitFor();
    await page.getByText('1 setting took effect: timeouts.log').waitFor();
    await page.getByText(/1 setting waits for a restart of cesid: websocket.clients/).waitFor();

    writeFileSync(cesid.file, `${text}\nnonsense = 1;\n`, { mode: 0o600 });
    await button('Reload the configuration').click();
    await dialog().getByRole('button', { name: 'Reload' }).click();
    await page.getByRole('alert').getByText(/nonsense: cesid\.conf:\d+: /).waitFor();
    browser.forgive(422);
});

test('log levels are set', async () => {
    await page.getByLabel('Where').selectOption('rpc');
    await page.getByLabel('Level', { exact: true }).selectOption('error');
    await button('Set').click();
    await page.getByText('error in rpc').waitFor();
    assert.deepEqual((await cesid.get('/system/log-level')).subsystems, { rpc: 'error' });
});

test('a password is changed, and a wrong old one ends no session', async () => {
    await page.getByRole('link', { name: 'Your profile: admin' }).click();
    await page.getByText('In every environment').waitFor();
    const old = page.getByLabel('Present password');
    await old.fill('wrong');
    await page.getByLabel('New password', { exact: true }).fill('a much longer secret 1');
    await page.getByLabel('New password again').fill('a much longer secret 2');
    await button('Change the password').click();
    await page.getByText('differs from the new password').first().waitFor();
    await page.getByLabel('New password again').fill('a much longer secret 1');
    await button('Change the password').click();
    await page.getByRole('alert').getByText('The old password is wrong').waitFor();
    await old.fill(cesid.adminPassword);
    await button('Change the password').click();
    await page.getByText('The password is changed').waitFor();
    await cesid.login('admin', 'a much longer secret 1');
    browser.forgive(401);
});

test('it fits a phone, everything has a name, and the console is silent', async () => {
    await browser.fitsPhone(['/system', '/profile']);
    await browser.isAccessible();
    assert.deepEqual(browser.complaints, []);
});
