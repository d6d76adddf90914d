// Selections in the dashboard: what they cover is seen before anything happens, then how far it is,
// and what came of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { sleep, until } from './lib/wait.mjs';

let fakes, cesid, browser, page;

before(async () => {
    fakes = await new Fakes({ nodes: 4, processes: 6 }).start();
    cesid = new Cesid({ nodes: fakes.configs() });
    await cesid.start();
    await cesid.login();
    await Promise.all([0, 1, 2, 3].map((i) => cesid.nodeIs(fakes.name(i), 'up')));
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

const button = (name) => page.getByRole('button', { name, exact: typeof name === 'string' });
const dialog = () => page.getByRole('dialog');

test('what a selection covers is shown and counted, and changing it asks to look again', async () => {
    await browser.open('/operations/new?environments=te*');
    await page.getByLabel('Action').selectOption('stop');
    await page.getByLabel('Nodes').fill('n00000, n00001 n00002');
    await button('Show what it covers').click();
    await page.getByRole('heading', { name: '18 processes on 3 nodes' }).waitFor();
    assert.equal(await page.getByRole('table', { name: 'Processes covered' }).getByRole('row')
        .count(), 19);
    await page.getByLabel('Nodes').fill('n00000');
    await page.getByText('The selection has changed').waitFor();
    assert.equal(await button(/^Stop /).count(), 0);
    assert.equal((await cesid.get('/operations')).total, 0, 'a preview does nothing');
});

test('a selection that covers nothing is told so', async () => {
    await page.getByLabel('Nodes').fill('nowhere-*');
    await button('Show what it covers').click();
    await page.getByRole('alert').filter({ hasText: 'matches no process' }).waitFor();
    browser.forgive(422);
});

test('many are acted on once their number has been typed, and failures stand first', async () => {
    await fakes.order('set', '3', 'start_outcome=FATAL');
    await browser.open('/operations/new');
    await page.getByLabel('Nodes').fill('*');
    await page.getByText('How fast, how long').click();
    await page.getByLabel('At a time').fill('8');
    await button('Show what it covers').click();
    await button('Restart 24 processes…').click();
    const go = dialog().getByRole('button', { name: 'Restart 24 processes' });
    await dialog().getByText('24 processes on 4 nodes').waitFor();
    assert.ok(await go.isDisabled());
    await dialog().getByRole('textbox').fill('24');
    await go.click();
    await page.getByText('Partly failed').waitFor();
    await page.getByText('18 of 24 done, 6 failed').waitFor();
    const rows = page.getByRole('table', { name: 'Targets' }).getByRole('row');
    assert.equal(await rows.count(), 25);
    assert.match(await rows.nth(1).innerText(), /Failed[^]*n00003/);
    await button(/^Failed/).click();
    await until('the failed ones alone', async () => await rows.count() === 7);
});

test('one under way is followed and cancelled', async () => {
    await fakes.order('set', '0', 'stop_delay=600');
    const { json: { id } } = await cesid.post('/operations',
        { action: 'stop', select: { nodes: ['n00000'] }, parallelism: 2 });
    await browser.open('/operations');
    await page.getByRole('row').filter({ hasText: 'Stop 6 processes' }).getByRole('link').click();
    await page.getByText('0 of 6 done, 6 to go').waitFor();
    await button('Cancel').click();
    await dialog().getByText('6 processes of 6').waitFor();
    await dialog().getByRole('button', { name: 'Cancel the operation' }).click();
    await page.locator('.page-head').getByText('Cancelled').waitFor();
    await until('its end', async () =>
        (await cesid.get(`/operations/${id}`)).state === 'cancelled');
});

test('the list keeps up with what others do', async () => {
    await browser.open('/operations');
    await page.getByRole('row').filter({ hasText: 'Stop 6 processes' }).waitFor();
    await cesid.post('/operations',
        { action: 'signal', signal: 'USR1', select: { nodes: ['n00001'] } });
    await page.getByRole('row').filter({ hasText: 'Send USR1 to 6 processes' })
        .filter({ hasText: 'Done' }).waitFor();
});

test('what was told while the list was read outlasts its answer', async () => {
    const stopping = page.getByRole('row').filter({ hasText: 'Stop 2 processes' });
    await fakes.order('set', '2', 'stop_delay=600');
    await cesid.post('/operations',
        { action: 'stop', select: { nodes: ['n00002'], processes: ['*:p0000', '*:p0001'] } });
    await browser.open('/operations');
    await stopping.filter({ hasText: 'Running' }).waitFor();
    // The next read sees it running, and is answered when its end has been told.
    let answer;
    const read = new Promise((resolve) => page.route(/api\/v1\/operations\?/, async (route) => {
        const response = await route.fetch();
        resolve();
        await new Promise((release) => { answer = release; });
        await route.fulfill({ response });
    }, { times: 1 }));
    await cesid.post('/operations',
        { action: 'signal', signal: 'USR2', select: { nodes: ['n00001'] } });
    await read;
    await fakes.order('state', '2', '*', 'STOPPED');
    await stopping.filter({ hasText: 'Done' }).waitFor();
    await sleep(1); // no more is told of it
    await Promise.all([page.waitForResponse(/api\/v1\/operations\?/), answer()]);
    await sleep(0.3); // it would be drawn by now
    assert.match(await stopping.innerText(), /Done/);
});

test('it fits a phone, everything has a name, and the console is silent', async () => {
    const { items: [{ id }] } = await cesid.get('/operations');
    await browser.fitsPhone(['/operations', `/operations/${id}`, '/operations/new']);
    await browser.isAccessible();
    assert.deepEqual(browser.complaints, []);
});
