// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import { TOKENS } from '../http/harness.ts';
import { appendRecord, describeInChromium, signIn } from './harness.ts';
import { PRESENT } from './present.ts';
import { mappingsOf, STATUS, target, typical } from './scene.ts';

describeInChromium('the updates of the page', (visit) => {
  it('shows a new state of a target without a reload', async () => {
    let targets = STATUS.targets;
    const service = { mappings: () => mappingsOf(targets) };
    await using tab = await visit({ role: 'viewer', at: '/mappings', service });
    const { page } = tab;
    await page.getByText('8 targets of 8').waitFor();
    targets = [target('new', 'new', 'new'), ...targets];
    await page.getByText('9 targets of 9').waitFor();
    expect(tab.complaints).toEqual([]);
  });

  it('sends the token as a header, and marks requests without a recent action', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records' });
    const { page } = tab;
    const stream = page.waitForRequest('**/api/v1/stream');
    await page.reload();
    await signIn(page, TOKENS.viewer);
    const headers = await (await stream).allHeaders();
    expect(headers.authorization).toBe(`Bearer ${TOKENS.viewer}`);
    expect((await stream).url()).not.toContain(TOKENS.viewer);

    // Two minutes without an action of the person. The update that follows must not prolong the session.
    await page.clock.setSystemTime(PRESENT + 120_000);
    const update = page.waitForRequest('**/api/v1/audit/records?**');
    await appendRecord(tab.site);
    expect((await (await update).allHeaders())['x-secretbridge-idle']).toBe('1');
  });

  it('says that the page is not connected, and connects again', async () => {
    await using tab = await visit();
    const { page } = tab;
    await page.route('**/api/v1/stream', (route) => route.abort());
    await signIn(page, TOKENS.viewer);
    await page.getByText('(not connected)').waitFor();
    await page.unroute('**/api/v1/stream');
    await expect.poll(() => page.getByText('(not connected)').count()).toBe(0);
    expect(await page.getByLabel('live').isChecked()).toBe(true);
  });

  it('closes the stream when the person turns the updates off or signs out', async () => {
    await using tab = await visit({ role: 'viewer', at: '/mappings' });
    const { page } = tab;
    const closed: string[] = [];
    page.on('requestfailed', (one) => one.url().endsWith('/stream') && closed.push(one.url()));
    await page.getByLabel('live').uncheck();
    await expect.poll(() => closed.length).toBe(1);
    const opened = page.waitForRequest('**/api/v1/stream');
    await page.getByLabel('live').check();
    await opened;
    await page.getByRole('button', { name: 'Sign out' }).click();
    await expect.poll(() => closed.length).toBe(2);
  });

  it('waits with an update while a dialog is open', async () => {
    await using tab = await visit({ role: 'operator', at: '/holds' });
    const { page } = tab;
    await page.getByRole('button', { name: 'Release: update shop/mailer' }).click();
    await page.getByRole('dialog').waitFor();
    const requests: string[] = [];
    page.on('request', (one) => one.url().includes('/held?') && requests.push(one.url()));
    await appendRecord(tab.site);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(() => requests.length).toBe(1);
  });
});

describeInChromium('a first visit', (visit) => {
  it('shows what to look at, until the person closes it', async () => {
    await using tab = await visit({ role: 'viewer', scene: { ...typical(), entries: [] } });
    const { page } = tab;
    const guide = page.getByRole('region', { name: 'What to look at' });
    expect(await guide.getByRole('link').allInnerTexts()).toEqual(['Review', 'Changes', 'Mappings', 'Holds']);
    await guide.getByRole('button', { name: 'Close' }).click();
    expect(await guide.count()).toBe(0);
    await page.reload();
    await signIn(page, TOKENS.viewer);
    expect(await guide.count()).toBe(0);
    expect(await page.evaluate(() => ({ ...localStorage }))).toEqual({ 'secretbridge.guide': 'closed' });
  });
});
