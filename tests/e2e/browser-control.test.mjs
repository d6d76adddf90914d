// Controls of the dashboard: signals, text for processes, a whole supervisord, nodes of the store.
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { Cesid, nodeConfig } from './lib/cesid.mjs';
import { programs } from './lib/fleet.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until } from './lib/wait.mjs';

let web, spare, cesid, browser, page;

before(async () => {
    web = new Supervisord({
        name: 'web-1', programs: { cat: programs.cat, hup: programs.hup, fatal: programs.fatal },
    });
    spare = new Supervisord({
        name: 'spare', username: 'ops', password: 'hush', programs: { cat: programs.cat },
    });
    await Promise.all([web.start(), spare.start()]);
    cesid = new Cesid({ nodes: [nodeConfig(web)] });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs('web-1', 'up');
    browser = await Browser.start();
    ({ page } = browser);
    await browser.signIn(cesid);
});
after(async () => {
    await browser?.close();
    try {
        await cesid?.stop();
    } finally {
        web?.child?.kill();
        spare?.child?.kill();
    }
});

const button = (name) => page.getByRole('button', { name, exact: true });
const dialog = () => page.getByRole('dialog');
const more = async (item) => {
    await button('More').click();
    await page.getByRole('menuitem', { name: item }).click();
};

test('a signal is chosen by name and arrives', async () => {
    await browser.open('/nodes/web-1/processes/hup:hup');
    await button('Signal…').click();
    await dialog().getByLabel('Signal').selectOption('HUP');
    await dialog().getByRole('button', { name: 'Send it to 1 process' }).click();
    await page.getByText('Signal sent').first().waitFor();
    await until('the signal', async () =>
        (await page.getByRole('tabpanel').innerText()).includes('got HUP'));
});

test('text reaches a process that reads it', async () => {
    await browser.open('/nodes/web-1/processes/cat:cat');
    await button('Send text…').click();
    await dialog().getByLabel('Text', { exact: true }).fill('hello <b>there</b>');
    await dialog().getByRole('button', { name: 'Send it to 1 process' }).click();
    await until('the echo', async () =>
        (await page.getByRole('tabpanel').innerText()).includes('hello <b>there</b>'));
});

test('a change of supervisord’s configuration is told by reread and made by update', async () => {
    appendFileSync(web.file, '\n[program:extra]\ncommand = /bin/sleep 100000\n');
    await browser.open('/nodes/web-1');
    await more(/^Reread its configuration/);
    await page.getByText('1 group added: extra').waitFor();
    await button('Dismiss').click();
    await more(/^Update/);
    await dialog().getByText('1 node').waitFor();
    await dialog().getByRole('button', { name: 'Update' }).click();
    await page.getByRole('row').filter({ hasText: 'extra:extra' }).first().waitFor();
});

test('what supervisord has of each program is shown whole', async () => {
    await browser.open('/nodes/web-1');
    await more(/^Its configuration/);
    await page.getByRole('row').filter({ hasText: '/bin/cat' }).first().waitFor();
    await button('All settings of cat:cat').click();
    await page.getByText('stopwaitsecs').waitFor();
});

test('a supervisord is restarted only once its name has been typed', async () => {
    await browser.open('/nodes/web-1');
    const { pid } = await cesid.process('web-1', 'cat');
    await more(/^Restart supervisord/);
    const go = dialog().getByRole('button', { name: 'Restart supervisord' });
    assert.ok(await go.isDisabled());
    await dialog().getByRole('textbox').fill('web-2');
    assert.ok(await go.isDisabled());
    await dialog().getByRole('textbox').fill('web-1');
    await go.click();
    await page.getByText('supervisord was told to restart').first().waitFor();
    await until('another cat', async () => {
        const process = await cesid.process('web-1', 'cat').catch(() => null);
        return process?.state === 'RUNNING' && process.pid !== pid;
    }, 15);
});

test('a node that is down is tried all the same when asked', async () => {
    await web.stop();
    await until('the breaker opens', async () =>
        (await cesid.node('web-1')).breaker.state === 'open');
    await browser.open('/nodes/web-1/processes/hup:hup');
    await button('Restart').click();
    await button('Try all the same').click();
    // It was asked, and did not answer: there is nothing more to force.
    await button('Try all the same').waitFor({ state: 'detached' });
    await page.locator('.outcome.failed').waitFor();
    assert.equal(await button('Try all the same').count(), 0);
    await web.start();
    await cesid.post('/nodes/web-1/refresh');
    await cesid.nodeIs('web-1', 'up');
    browser.forgive(502, 503);
});

test('a node is added, told what is wrong with it, mended and deleted', async () => {
    await browser.open('/nodes');
    await button('Add a node').click();
    await dialog().getByLabel('Name', { exact: true }).fill('spare-1');
    await dialog().getByLabel('Environment').fill('test');
    await dialog().getByLabel('Address').fill('ftp://nowhere/RPC2');
    await dialog().getByRole('button', { name: 'Add the node' }).click();
    await dialog().getByText('must begin with http://').first().waitFor();
    await dialog().getByLabel('Address').fill(spare.url);
    await dialog().getByRole('button', { name: 'Add the node' }).click();
    await page.getByRole('heading', { name: 'spare-1' }).waitFor();
    await page.getByText('unauthorized').first().waitFor();

    await button('Check').click();
    await page.getByText('The connection does not work').first().waitFor();
    await page.locator('.outcome').getByText('unauthorized').waitFor();
    await page.locator('.outcome').getByRole('button', { name: 'Dismiss' }).click();

    await more('Edit the node…');
    await dialog().getByLabel('User name').fill('ops');
    await dialog().getByLabel('Password').fill('hush');
    await dialog().getByLabel('Labels').fill('role=spare\nzone=a,b=c');
    await dialog().getByRole('button', { name: 'Save' }).click();
    await page.getByRole('row').filter({ hasText: 'cat:cat' }).first().waitFor();
    await page.getByText('role=spare').waitFor();
    assert.deepEqual((await cesid.node('spare-1')).labels, { role: 'spare', zone: 'a,b=c' });

    await more(/^Delete the node/);
    await dialog().getByRole('textbox').fill('spare-1');
    await dialog().getByRole('button', { name: 'Delete 1 node' }).click();
    await page.getByRole('heading', { name: 'Nodes', exact: true }).waitFor();
    assert.equal((await cesid.get('/nodes')).total, 1);
    browser.forgive(404, 422);
});

test('nothing was complained about on the console', async () => {
    await browser.isAccessible();
    assert.deepEqual(browser.complaints, []);
});
