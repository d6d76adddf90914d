// Users, roles, bindings and API tokens in the dashboard, as an administrator keeps them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { Cesid } from './lib/cesid.mjs';
import { expectOk, expectProblem } from './lib/http.mjs';

const evil = '<img src=x onerror=pwned=1>';
const password = 'a long enough password';
let cesid, browser, page;

before(async () => {
    cesid = new Cesid();
    await cesid.start();
    await cesid.login();
    browser = await Browser.start();
    ({ page } = browser);
    await browser.signIn(cesid);
});
after(async () => {
    await browser?.close();
    await cesid?.stop();
});

const button = (name) => page.getByRole('button', { name, exact: true });
const dialog = () => page.getByRole('dialog');
const confirm = (name) => dialog().getByRole('button', { name, exact: true }).click();
const row = (text) => page.getByRole('row').filter({ hasText: text });
const choose = async (user, item) => {
    await button(`Actions for ${user}`).click();
    await page.getByRole('menuitem', { name: item }).click();
};

test('a user is added, and what is wrong with the fields stands beside them', async () => {
    await browser.open('/access/users');
    await row('admin').getByText('you').waitFor();
    await button('Add a user').click();
    await dialog().getByLabel('User name').fill('vera');
    await dialog().getByLabel('Full name').fill(evil);
    await dialog().getByLabel('Password').fill('short');
    await confirm('Add the user');
    await dialog().locator('.field-error').first().waitFor();
    await dialog().getByLabel('Password').fill(password);
    await confirm('Add the user');
    await row('vera').getByText('no role').waitFor();
    await row('vera').getByText(evil).waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    browser.forgive(422);
});

test('a role is made, and given to the user in one environment', async () => {
    await page.getByRole('link', { name: 'Roles' }).click();
    await row('viewer').getByText('built in').waitFor();
    assert.equal(await button('Actions for admin').count(), 0);
    await button('Add a role').click();
    await dialog().getByLabel('Name', { exact: true }).fill('deployer');
    await dialog().getByLabel('process:control').check();
    await confirm('Add the role');
    await row('deployer').getByText('process:control').waitFor();

    await page.getByRole('link', { name: 'Users', exact: true }).click();
    await choose('vera', 'Give a role…');
    await dialog().getByLabel('Role').selectOption('deployer');
    await dialog().getByLabel('Environment').fill('stag*');
    await confirm('Give the role');
    await row('vera').getByText('deployer in stag*').waitFor();
    const { token } = expectOk(await cesid.post('/auth/login', { username: 'vera', password },
        { token: null }));
    const { permissions } = expectOk(await cesid.api('GET', '/auth/me', { token }));
    assert.deepEqual(permissions.map(({ environment }) => environment), ['stag*']);
});

test('a role is changed and taken away', async () => {
    await browser.open('/access/roles');
    await choose('deployer', 'Edit…');
    await dialog().getByLabel('log:read').check();
    await confirm('Save');
    await row('deployer').getByText('log:read').waitFor();
    await browser.open('/access/bindings');
    await button('Take deployer from vera').click();
    await confirm('Take 1 role away');
    await row('deployer').waitFor({ state: 'detached' });
    await browser.open('/access/roles');
    await choose('deployer', 'Delete…');
    await confirm('Delete 1 role');
    await row('deployer').waitFor({ state: 'detached' });
});

test('the last administrator stays, whatever is clicked, and the page says why', async () => {
    await browser.open('/access/users');
    await choose('admin', 'Edit…');
    await dialog().getByLabel('Active').uncheck();
    await confirm('Save');
    await dialog().getByRole('alert').getByText(/administrator/).waitFor();
    await confirm('Cancel');
    browser.forgive(409);
});

test('a user is made inactive, and deleted once the name has been typed', async () => {
    await choose('vera', 'Edit…');
    await dialog().getByLabel('Active').uncheck();
    await confirm('Save');
    await row('vera').getByText('Inactive').waitFor();
    await choose('vera', 'Delete…');
    assert.ok(await dialog().getByRole('button', { name: 'Delete 1 user' }).isDisabled());
    await dialog().getByRole('textbox').fill('vera');
    await confirm('Delete 1 user');
    await row('vera').waitFor({ state: 'detached' });
    assert.equal((await cesid.get('/users')).total, 1);
});

test('a token is shown once, does what its scope says, and is revoked', async () => {
    await browser.open('/profile');
    await button('Make a token').click();
    await dialog().getByLabel('Name', { exact: true }).fill('prometheus');
    await dialog().getByLabel('activity:read').uncheck();
    await confirm('Make the token');
    const token = await dialog().getByLabel('Token prometheus').inputValue();
    // Neither a stray click nor Escape takes it away unseen.
    await page.mouse.click(5, 5);
    await page.keyboard.press('Escape');
    await dialog().getByText('It is shown only now').waitFor();
    await confirm('I have kept it');
    const tokens = page.getByRole('region', { name: 'API tokens' });
    await tokens.getByText('prometheus').waitFor();
    assert.ok(!(await page.content()).includes(token));
    expectOk(await cesid.api('GET', '/nodes', { token }));
    expectProblem(await cesid.api('GET', '/activity', { token }), 403, 'forbidden');

    await button('Revoke prometheus').click();
    await confirm('Revoke 1 token');
    await tokens.getByText('None yet').waitFor();
    expectProblem(await cesid.api('GET', '/nodes', { token }), 401, 'unauthenticated');
});

test('it fits a phone, everything has a name, and the console is silent', async () => {
    await browser.fitsPhone(['/access/users', '/access/roles', '/access/bindings', '/profile']);
    for (const path of ['/access/users', '/access/roles', '/access/bindings']) {
        await browser.open(path);
        await row('admin').first().waitFor();
        await browser.isAccessible();
    }
    assert.deepEqual(browser.complaints, []);
});
