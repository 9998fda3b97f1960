// A person who logs in, on the pages of the test server.

const button = (page, name) => page.getByRole('button', { name }).click();

/** Follows the URL that a program has printed, signs in where asked to, and agrees. */
export async function logIn(page, url, { asked = true } = {}) {
  await page.goto(url);
  if (asked) await button(page, 'Sign in');
  await button(page, 'Allow');
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
}

/** Types the code in that a program has printed. */
export async function typeIn(page, url, code, { asked = true } = {}) {
  await page.goto(url);
  await page.locator('input[name=user_code]').fill(code);
  await button(page, 'Continue');
  await button(page, 'Continue');
  if (asked) await button(page, 'Sign in');
  await button(page, 'Allow');
  await page.getByText('Signed in.').waitFor();
}
