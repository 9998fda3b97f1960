// Drives the login example through the sign-in and consent pages of the test server. See README.md.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { typeIn } from './person.mjs';
import { Program } from './program.mjs';
import * as resource from './resource.mjs';

const issuer = process.env.OIDC_ISSUER;
const scratch = mkdtempSync(join(tmpdir(), 'login-'));
const screenshots = process.argv[2]; // a folder, to look at the pages

/** One run of the example. */
const start = (...options) => {
  const settings = ['--issuer', issuer, '--client-id', 'cli', '--no-browser'];
  const scope = ['--scope', 'openid offline_access api:read', '--get', `${issuer}/api`];
  return new Program(['--example', 'login'], [...settings, ...scope, ...options]);
};

/** The status of a request with a Host header of its own choosing. */
async function status(url, host) {
  const [response] = await once(request(url, { headers: { host } }).end(), 'response');
  response.resume();
  return response.statusCode;
}

const read = (file) => JSON.parse(readFileSync(file));
const valid = async (token) =>
  (await (await fetch(`${issuer}/valid?token=${token}`)).json()).active;

const loginSteps = {
  async 'a person signs in, agrees, and the API is called'(page) {
    const file = join(scratch, 'token.json');
    const run = start('--token-file', file);
    const url = await run.url();
    const callback = new URL(new URL(url).searchParams.get('redirect_uri'));
    assert.equal(callback.hostname, '127.0.0.1');
    assert.equal(await status(new URL('/favicon.ico', callback), callback.host), 404);
    assert.equal(await status(callback, 'attacker.example'), 404);

    await page.goto(url);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    assert.equal(new URL(page.url()).host, callback.host);
    await shot(page, 'logged-in');

    await run.ends(0);
    assert.match(run.stdout, /^the API answered 200 OK$/m);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await assert.rejects(fetch(callback), 'the listener has closed');
    for (const secret of [read(file).access_token, read(file).refresh_token]) {
      assert.ok(!`${run.stdout}${run.stderr}`.includes(secret), 'no token is printed');
    }
  },

  async 'later it goes on with the saved token, and refreshes it'() {
    const file = join(scratch, 'token.json');
    const before = read(file);
    while (await valid(before.access_token)) await sleep(100);
    const run = start('--token-file', file);
    await run.ends(0);
    assert.ok(!run.stdout.includes('to log in'), run.stdout);
    assert.match(run.stdout, /^the API answered 200 OK$/m);
    const after = read(file);
    assert.notEqual(after.refresh_token, before.refresh_token);
    assert.ok(await valid(after.refresh_token));
    assert.equal(statSync(file).mode & 0o777, 0o600);
  },

  async 'a person refuses'(page) {
    const file = join(scratch, 'refused.json');
    const run = start('--token-file', file);
    await page.goto(await run.url());
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByRole('heading', { name: 'The login did not work' }).waitFor();
    await page.getByText('access_denied').waitFor();
    await shot(page, 'refused');
    await run.ends(1);
    assert.match(run.stderr, /^error: .*access_denied/);
    assert.ok(!existsSync(file));
  },

  async 'nobody comes'() {
    const file = join(scratch, 'nobody.json');
    const run = start('--token-file', file, '--wait', '1');
    await run.ends(1);
    assert.match(run.stderr, /^error: nobody logged in within 1 seconds; run this again/);
    assert.ok(!existsSync(file));
  },

  async 'the person has another device'(page) {
    const file = join(scratch, 'device.json');
    const run = start('--token-file', file, '--device');
    const url = await run.url();
    await typeIn(page, url, await run.code());
    await run.ends(0);
    assert.match(run.stdout, /^the API answered 200 OK$/m);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  },
};

async function shot(page, name) {
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--no-proxy-server'],
});

/** In a browser that knows nobody. */
async function newPage() {
  const context = await browser.newContext();
  context.setDefaultTimeout(30_000);
  return context.newPage();
}

const steps = { ...loginSteps, ...resource.steps({ scratch, newPage }) };
try {
  for (const [name, step] of Object.entries(steps)) {
    const page = await newPage();
    await step(page);
    await page.context().close();
    console.log(`ok: ${name}`);
  }
} finally {
  await browser.close();
  rmSync(scratch, { recursive: true });
}
const { reuse_detected } = await (await fetch(`${issuer}/stats`)).json();
assert.equal(reuse_detected, 0);
console.log(`browser: ${Object.keys(steps).length} passed, 0 failed`);
