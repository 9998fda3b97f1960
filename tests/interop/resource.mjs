// An API that names its authorization server: programs that know its URL and nothing else. See README.md.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { logIn, typeIn } from './person.mjs';
import { Program } from './program.mjs';

const issuer = process.env.OIDC_ISSUER;
const resource = process.env.RESOURCE;

const json = async (url) => (await fetch(url)).json();
const api = () => json(new URL('/stats', resource));
const valid = async (token) => (await json(`${issuer}/valid?token=${token}`)).active;
const clients = async () => Object.keys((await json(`${issuer}/stats`)).by_client);

/** Of the one login that is kept in this folder. */
function accessToken(folder) {
  const read = (name) => JSON.parse(readFileSync(join(folder, 'tokens', name)));
  const names = readdirSync(join(folder, 'tokens')).filter((name) => name.endsWith('.json'));
  const [token, ...others] = names.map(read).flatMap((record) => record.access_token ?? []);
  assert.deepEqual(others, []);
  return token;
}

/** What the steps need: `scratch`, a folder for what programs save; `newPage`, for another person. */
export const steps = ({ scratch, newPage }) => {
  const folder = (name) => {
    mkdirSync(join(scratch, name), { recursive: true });
    return join(scratch, name);
  };
  const login = (name, ...options) =>
    new Program(['--example', 'login'], ['--resource', resource, '--no-browser', ...options], folder(name));

  return {
    async 'from a 401 to an answered request, in a browser'(page) {
      const before = await api();
      const run = login('browser');
      await logIn(page, await run.url());
      await run.ends(0);
      assert.match(run.stdout, /^the API answered 200 OK$/m);
      const after = await api();
      assert.equal(after.bare - before.bare, 1);
      assert.equal(after.metadata - before.metadata, 1);
    },

    async 'later it goes on alone'() {
      while (await valid(accessToken(folder('browser')))) await sleep(100);
      const [before, registered] = [await api(), await clients()];
      const run = login('browser');
      await run.ends(0);
      assert.ok(!run.stdout.includes('to log in'), run.stdout);
      assert.match(run.stdout, /^the API answered 200 OK$/m);
      const after = await api();
      assert.equal(after.bare, before.bare);
      assert.equal(after.metadata, before.metadata);
      assert.deepEqual(await clients(), registered);
    },

    async 'the API wants a wider scope'(page) {
      const registered = await clients();
      const run = login('browser', '--get', `${resource}/admin`);
      const url = await run.url();
      const asked = new URL(url).searchParams;
      assert.deepEqual(asked.get('scope').split(' ').sort(), ['admin', 'offline_access', 'read']);
      assert.equal(asked.get('resource'), resource);
      await logIn(page, url);
      await run.ends(0);
      assert.match(run.stdout, /^the API answered 200 OK$/m);
      const again = login('browser', '--get', `${resource}/admin`);
      await again.ends(0);
      assert.ok(!again.stdout.includes('to log in'), again.stdout);
      assert.deepEqual(await clients(), registered);
    },

    async 'from a 401 to an answered request, by device'(page) {
      const run = login('device', '--device');
      const url = await run.url();
      await typeIn(page, url, await run.code());
      await run.ends(0);
      assert.match(run.stdout, /^the API answered 200 OK$/m);
      const again = login('device', '--device');
      await again.ends(0);
      assert.ok(!again.stdout.includes('to log in'), again.stdout);
    },

    async 'a person refuses the API'(page) {
      const run = login('refused');
      await page.goto(await run.url());
      await page.getByRole('button', { name: 'Deny' }).click();
      await page.getByText('access_denied').waitFor();
      await run.ends(1);
      assert.match(run.stderr, /^ *because: .*access_denied/m);
    },

    async 'three logins, then ten expiries that nobody attends'(page) {
      const other = await newPage();
      const [browser, device] = [[], ['--device']].map((way) => new Program(['-p', 'resource'], way));
      // The wider scope, and a login anew for the money: it is asked who they are again.
      for (const asked of [true, false, true]) {
        await logIn(page, await browser.url(), { asked });
        await typeIn(other, await device.url(), await device.code(), { asked });
      }
      for (const program of [browser, device]) {
        await program.ends(0);
        assert.match(program.stdout, /^10 expiries, 10 renewals$/m);
      }
    },
  };
};
