// The activity page: what was done is there at once, is filtered, paged, opened and exported.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { Cesid } from './lib/cesid.mjs';
import { Fakes } from './lib/fake.mjs';
import { sleep, until } from './lib/wait.mjs';

const evil = '<img src=x onerror=pwned=1>';
let fakes, cesid, browser, page;

before(async () => {
    fakes = await new Fakes({ nodes: 1, processes: 2 }).start();
    cesid = new Cesid({ nodes: fakes.configs() });
    await cesid.start();
    await cesid.login();
    await cesid.nodeIs('n00000', 'up');
    // More than a page, and one with a text that must stay a text.
    for (let i = 0; i < 12; i++)
        await Promise.all(Array.from({ length: 10 }, () => cesid.post('/nodes/n00000/reread')));
    await cesid.api('POST', '/nodes/n00000/reread', { headers: { 'User-Agent': evil } });
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

const rows = () => page.getByRole('table', { name: 'Activity' }).getByRole('row');
const row = (...texts) => texts.reduce((found, text) => found.filter({ hasText: text }), rows());

test('what happens is on the page at once, with what came of it', async () => {
    await browser.open('/activity');
    await row('auth.login', 'admin').first().waitFor();
    await page.mouse.move(0, 0);
    await cesid.post('/nodes/n00000/processes/p0000:p0000/restart');
    await row('process.restart', 'n00000/p0000:p0000', 'Ok').first().waitFor();
});

test('while a row is read, what comes waits', async () => {
    await row('process.restart').first().getByRole('button').click();
    await page.getByText('p0000:p0000').first().waitFor();
    await cesid.post('/nodes/n00000/update');
    await page.getByRole('button', { name: /^Show \d+ new$/ }).click();
    await row('supervisor.update').first().waitFor();
});

test('the record is filtered, and a filter that finds nothing says so', async () => {
    await browser.open('/activity');
    await page.getByRole('searchbox', { name: 'Action' }).or(page.getByLabel('Action')).first()
        .fill('restart');
    await until('one record', async () => await rows().count() === 2);
    await row('process.restart').waitFor();
    await page.getByLabel('Result').selectOption('failed');
    await page.getByRole('heading', { name: 'No record matches' }).waitFor();
    assert.match(page.url(), /action=restart&result=failed/);
    await page.getByRole('button', { name: 'Show all' }).first().click();
    await row('supervisor.update').first().waitFor();
    // The row is there from before, and goes while it is asked anew.
    await Promise.all([page.waitForResponse((response) => response.url().includes('since=')),
        page.getByLabel('Time').selectOption('900')]);
    await row('supervisor.update').first().waitFor();
});

test('a long record has pages', async () => {
    await browser.open('/activity');
    await row('auth.login').first().waitFor();
    await page.getByText(/^1 to 100 of \d+$/).waitFor();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText(/^101 to \d+ of \d+$/).waitFor();
    await row('system.start').waitFor();
    await page.getByRole('button', { name: 'Previous' }).click();
    await page.getByText(/^1 to 100 of \d+$/).waitFor();
});

test('details are text', async () => {
    await browser.open('/activity?action=reread');
    await row('supervisor.reread').first().getByRole('button').click();
    await page.getByText(evil).waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
});

test('what happens while the page is read is not lost', async () => {
    await browser.open('/activity');
    await row('auth.login').first().waitFor();
    await page.mouse.move(0, 0);
    await page.route(/\/api\/v1\/activity\?.*since=/, async (route) => {
        const response = await route.fetch();
        await cesid.post('/nodes/n00000/processes/p0001:p0001/stop');
        await sleep(0.5); // the message comes before the answer, which does not have it
        await route.fulfill({ response });
    }, { times: 1 });
    await page.getByLabel('Time').selectOption('3600');
    await row('process.stop', 'n00000/p0001:p0001', 'Ok').first().waitFor();
});

test('what is filtered is what is exported', async () => {
    await browser.open('/activity?action=process.restart');
    for (const [name, begin] of [['CSV', 'id,at,level'], ['JSON lines', '{"id":']]) {
        const [download] = await Promise.all([page.waitForEvent('download'),
            page.getByRole('link', { name, exact: true }).click()]);
        const text = readFileSync(await download.path(), 'utf8');
        assert.ok(text.startsWith(begin), text);
        assert.equal(text.trim().split('\n').length, name === 'CSV' ? 2 : 1);
        assert.ok(text.includes('process.restart'));
    }
});

test('it fits a phone, everything has a name, and the console is silent', async () => {
    await browser.fitsPhone(['/activity', '/activity?span=between']);
    await browser.isAccessible();
    assert.deepEqual(browser.complaints, []);
});
