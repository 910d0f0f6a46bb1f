// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import { done, TOKENS } from '../http/harness.ts';
import { delayResponses, describeInChromium, go, signIn } from './harness.ts';

describeInChromium('the sign-in', (visit) => {
  it('shows no data and sends no request until the user signs in', async () => {
    await using tab = await visit({ at: '/records' });
    const requests: string[] = [];
    tab.page.on('request', (request) => requests.push(new URL(request.url()).pathname));
    await tab.page.reload();
    await tab.page.getByLabel('Access token').waitFor();
    expect(requests.filter((path) => path.startsWith('/api'))).toEqual([]);
    expect(await tab.page.locator('body').innerText()).not.toMatch(/payments|prod-eu/);
    expect(tab.complaints).toEqual([]);
  });

  it('accepts a valid token and shows the name and role of its user', async () => {
    await using tab = await visit({ role: 'reviewer' });
    await expect.poll(() => tab.page.locator('.account').innerText()).toContain('the-reviewer');
    expect(await tab.page.locator('.account').innerText()).toContain('reviewer');
    expect(await tab.page.title()).toBe('Overview – secretbridge');
    expect(tab.complaints).toEqual([]);
  });

  it('rejects unknown tokens', async () => {
    await using tab = await visit();
    for (const token of ['wrong', 'viewer-7d1fca0e56b84d4', 'with a space', 'naïve', '日本']) {
      await tab.page.reload();
      await tab.page.getByLabel('Access token').fill(token);
      await tab.page.getByRole('button', { name: 'Sign in' }).click();
      const alert = tab.page.getByRole('alert');
      await alert.waitFor();
      expect(await alert.innerText(), token).toMatch(/does not know this token/);
      expect(await tab.page.locator('nav').count(), token).toBe(0);
    }
    expect(tab.complaints).toEqual([]);
  });

  it('keeps the token only in memory, and asks for the token again after a reload', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records' });
    const { page } = tab;
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]),
    );
    expect(kept).not.toContain(TOKENS.viewer);
    expect(await page.content()).not.toContain(TOKENS.viewer);
    expect(await page.context().cookies()).toEqual([]);
    await page.reload();
    await page.getByLabel('Access token').waitFor();
    expect(await page.getByRole('navigation').count()).toBe(0);
    // The URL still selects the view from before the reload.
    await signIn(page, TOKENS.viewer);
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Records');
  });

  it('leaves no data on the page after signing out', async () => {
    await using tab = await visit({ role: 'viewer' });
    await tab.page.getByRole('button', { name: 'Sign out' }).click();
    await tab.page.getByLabel('Access token').waitFor();
    expect(await tab.page.locator('body').innerText()).not.toMatch(/payments|prod-eu/);
    await tab.page.evaluate(() => {
      location.hash = '#/records';
    });
    expect(await tab.page.getByLabel('Access token').isVisible()).toBe(true);
  });

  it('ends the session when the service rejects the token', async () => {
    await using tab = await visit({ role: 'viewer' });
    await tab.page.route('**/api/**', (route) =>
      route.fulfill({ status: 401, json: { code: 'UNAUTHENTICATED', message: 'no', remedy: '' } }),
    );
    await tab.page.getByRole('button', { name: 'Refresh' }).click();
    await expect.poll(() => tab.page.getByRole('alert').innerText()).toMatch(/no longer accepts/);
    expect(await tab.page.locator('body').innerText()).not.toMatch(/payments|prod-eu/);
  });

  it('sends one request when the form is submitted repeatedly', async () => {
    await using tab = await visit();
    const { page } = tab;
    const session = await delayResponses(page, '**/api/v1/session');
    const field = page.getByLabel('Access token');
    await field.fill(TOKENS.viewer);
    for (let presses = 0; presses < 3; presses += 1) await field.press('Enter');
    await expect.poll(session.requestCount).toBe(1);
    session.release();
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    expect(session.requestCount()).toBe(1);
  });

  it('starts only one session if the browser restores the page after a sign-in and the user signs in a second time', async () => {
    await using tab = await visit();
    const { page } = tab;
    const requests: string[] = [];
    let answered = 0;
    page.on('request', (request) => requests.push(new URL(request.url()).pathname));
    page.on('requestfinished', (request) => {
      if (request.url().endsWith('/session')) answered += 1;
    });
    const session = await delayResponses(page, '**/api/v1/session');
    for (const forms of [1, 2]) {
      await page.getByLabel('Access token').fill(TOKENS.viewer);
      await page.getByLabel('Access token').press('Enter');
      await expect.poll(session.requestCount).toBe(forms);
      // Simulates a page that the back-forward cache restored.
      if (forms === 1)
        await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    }
    session.release();
    await expect.poll(() => answered).toBe(2);
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    await go(page, '/holds');
    expect(requests.filter((path) => path === '/api/v1/held')).toHaveLength(1);
    expect(tab.complaints).toEqual([]);
  });

  it('aborts pending work when the session ends', async () => {
    const gate = Promise.withResolvers<void>();
    await using tab = await visit({
      ...{ role: 'operator', at: '/holds' },
      service: {
        async sync(_, __, requestId) {
          await gate.promise;
          return done(requestId);
        },
      },
    });
    const { page } = tab;
    await go(page, '/mappings');
    await page.getByRole('button', { name: 'Sync now: billing' }).click();
    await page.getByText('running…').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    const answer = page.waitForResponse('**/sync');
    gate.resolve();
    await (await answer).finished();
    await page.getByLabel('Access token').fill('halfway');
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await page.clock.fastForward(31_000);
    // A request without a token ends the session and removes its data from the page.
    await page.evaluate(() => fetch('livez'));
    expect(requests.filter((url) => url.includes('/api/'))).toEqual([]);
    expect(await page.getByLabel('Access token').inputValue()).toBe('halfway');
  });

  it('shows the result of a verification only in the session that started this verification', async () => {
    await using tab = await visit({ role: 'viewer' });
    const { page } = tab;
    const verify = await delayResponses(page, '**/verify');
    await page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await expect.poll(verify.requestCount).toBe(1);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signIn(page, TOKENS.reviewer);
    const answer = page.waitForResponse('**/verify');
    verify.release();
    await (await answer).finished();
    await go(page, '/records/15');
    expect(await page.locator('.verification').innerText()).toBe('Verify the whole chain');
  });

  it('ignores a token in the URL', async () => {
    await using tab = await visit();
    const answer = await tab.page.goto(`/?token=${TOKENS.viewer}`);
    expect(answer?.status()).toBe(400);
  });

  it.each([
    ['viewer', 0, 0, 0],
    ['reviewer', 1, 0, 0],
    ['operator', 1, 8, 2],
  ] as const)(
    'offers a user with the role %s only the actions that this role allows',
    async (role, reviews, syncs, releases) => {
      await using tab = await visit({ role, at: '/records/15' });
      const { page } = tab;
      const buttons = (name: RegExp) => page.getByRole('button', { name }).count();
      expect(await buttons(/Mark as reviewed/)).toBe(reviews);
      await page.getByRole('link', { name: 'Mappings' }).click();
      await page.getByText('8 targets of 8').waitFor();
      expect(await buttons(/Sync now/)).toBe(syncs);
      await page.getByRole('link', { name: 'Holds' }).click();
      await page.getByText('would be lost').first().waitFor();
      expect(await buttons(/^Release/)).toBe(releases);
      if (releases === 0) expect(await page.getByText('requires the role operator').count()).toBe(2);
      expect(tab.complaints).toEqual([]);
    },
  );

  it('a token limited to namespaces shows these namespaces only, and offers no verification', async () => {
    await using tab = await visit({ role: 'viewer', namespaces: ['payments', 'edge'] });
    const { page } = tab;
    expect(await page.locator('header').innerText()).toContain('payments, edge');
    expect(await page.getByRole('button', { name: 'Verify the whole chain' }).count()).toBe(0);
    for (const view of ['/', '/mappings', '/holds', '/records', '/changes', '/review', '/search?q=s']) {
      await go(page, view);
      expect(await page.locator('main').textContent()).not.toMatch(
        /billing|batch|search|shop|payments-staging/,
      );
    }
    expect(await page.locator('main').textContent()).toContain('web-tls');
    expect(tab.complaints).toEqual([]);
  });
});
