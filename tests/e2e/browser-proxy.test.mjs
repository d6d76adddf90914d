// The dashboard behind nginx, over TLS and below a path, in a real browser: pages, assets, the cookie
// and the WebSocket are all found there.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { programs } from './lib/fleet.mjs';
import { expectOk } from './lib/http.mjs';
import { behind, Nginx } from './lib/proxies.mjs';
import { Supervisord } from './lib/supervisord.mjs';
import { until } from './lib/wait.mjs';

let node, side, browser, page;

before(async () => {
    node = await new Supervisord({ name: 'alpha', programs: { cat: programs.cat,
        ticker: programs.ticker } }).start();
    side = await behind(new Nginx(), node, '/cesid',
        { base_path: '/cesid', trusted_proxies: ['127.0.0.1'] });
    browser = await Browser.start({ ignoreHTTPSErrors: true });
    ({ page } = browser);
});

after(async () => {
    await browser?.close();
    await side?.cesid.stop();
    await side?.proxy.stop();
    node?.child?.kill();
});

test('signing in, a live change, a log and a deep link work below the path', async () => {
    const { cesid, proxy } = side;
    await browser.signIn({ url: `${proxy.url}/cesid/`, adminPassword: cesid.adminPassword });
    assert.ok(page.url().startsWith(`${proxy.url}/cesid/`), page.url());
    const [cookie] = await page.context().cookies();
    assert.equal(cookie.path, '/cesid/');
    assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === 'Strict');

    // Pushed by the WebSocket: nobody looks again.
    browser.url = `${proxy.url}/cesid`;
    await browser.open('/nodes/alpha');
    const row = page.getByRole('row').filter({ hasText: 'cat:cat' }).first();
    await row.getByText('Running').waitFor();
    expectOk(await side.ask('POST', '/api/v1/nodes/alpha/processes/cat/stop',
        { headers: side.session }));
    await row.getByText('Stopped').waitFor();

    // A page that is loaded at its own address, and a log that grows in it.
    await browser.open('/nodes/alpha/processes/ticker:ticker');
    const ticks = async () =>
        (await page.getByRole('tabpanel').innerText()).match(/tick \d+/g)?.length ?? 0;
    await until('ticks', async () => await ticks() > 0);
    const seen = await ticks();
    await until('more ticks', async () => await ticks() > seen);
    assert.ok(page.url().startsWith(`${proxy.url}/cesid/nodes/alpha`), page.url());
    assert.deepEqual(browser.complaints, []);
});
