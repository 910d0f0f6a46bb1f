// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import { appendRecord, delayResponses, describeInChromium, go } from './harness.ts';
import { change, entry, STATUS, typical } from './scene.ts';

describeInChromium('the record view', (visit) => {
  it.each([14, 15])('shows the intent and the outcome of change %i', async (sequence) => {
    await using tab = await visit({ role: 'viewer', at: `/records/${sequence}` });
    const { page } = tab;
    const halves = await page.locator('.halves section').allInnerTexts();
    expect(halves).toHaveLength(2);
    expect(halves[0]).toMatch(/^Intent/);
    expect(halves[1]).toMatch(/^Outcome/);
    expect(halves[1]).toMatch(/failed\s+CLUSTER_FORBIDDEN/);
    expect(await page.locator('main').innerText()).toMatch(/aws-prod: payments\/api/);
    expect(await page.locator('main').innerText()).toMatch(/STRIPE_WEBHOOK/);
    expect(tab.complaints).toEqual([]);
  });

  it('shows the fingerprint of each value as a link to the records with this fingerprint', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/15' });
    const { page } = tab;
    const values = page.locator('section', { has: page.locator('#values') });
    expect(await values.locator('dt').allInnerTexts()).toEqual(['STRIPE_WEBHOOK']);
    await values.getByRole('link').click();
    await page.getByRole('heading', { name: 'Records' }).waitFor();
    await expect.poll(() => page.locator('tbody tr').count()).toBe(2);
    expect(await page.locator('main').innerText()).toMatch(/#15.*#14/s);
  });

  it('the record view does not refresh automatically', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/15' });
    const { page } = tab;
    expect(await page.getByLabel('live').isVisible()).toBe(false);
    await go(page, '/records');
    expect(await page.getByLabel('live').isVisible()).toBe(true);
    await go(page, '/nowhere/at/all/here');
    expect(await page.getByLabel('live').isVisible()).toBe(false);
  });

  it('shows the time in the local time zone, and shows the UTC time in a tooltip', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/15' });
    const time = tab.page.locator('.current time');
    expect(await time.getAttribute('title')).toBe('2026-11-25 08:09:15 UTC');
    expect(await time.innerText()).toMatch(/09:09:15/);
  });

  it('marks a record as reviewed with a note', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/records/15' });
    const { page, site } = tab;
    await page.getByLabel('Note (optional)').fill('  Asked the team.  ');
    await page.getByRole('button', { name: 'Mark as reviewed' }).click();
    await page.locator('#review .badge.good').waitFor();
    const text = await page.locator('section', { has: page.locator('#review') }).innerText();
    expect(text).toMatch(/reviewed/);
    expect(text).toMatch(/the-reviewer/);
    expect(text).toMatch(/Asked the team\./);
    expect(site.audit.records.at(-1)).toMatchObject({
      action: 'review',
      review: { sequence: 15, state: 'reviewed' },
      note: 'Asked the team.',
      actor: { kind: 'operator', name: 'the-reviewer' },
    });
    expect(await page.locator('#live').innerText()).toMatch(/Record 15 is reviewed/);
  });

  it('flags a record even if the user enters no note', async () => {
    await using tab = await visit({ role: 'operator', at: '/records/8' });
    await tab.page.getByRole('button', { name: 'Flag' }).click();
    await tab.page.locator('#review .badge.warn').waitFor();
    expect(tab.site.audit.records.at(-1)?.review).toEqual({ sequence: 8, state: 'flagged' });
  });

  it('flags a record with a day for the follow-up, and shows this day', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/records/15' });
    const { page, site } = tab;
    await page.getByLabel('Follow up on').fill('2026-12-24');
    await page.getByRole('button', { name: 'Flag' }).click();
    await page.getByText('Follow up by 2026-12-24.').waitFor();
    expect(site.audit.records.at(-1)?.review).toEqual({
      ...{ sequence: 15, state: 'flagged', followUp: '2026-12-24' },
    });
  });

  it('keeps the entered note if the review cannot be saved', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/records/15' });
    const { page } = tab;
    await page.route('**/review', (route) =>
      route.fulfill({
        status: 503,
        json: { code: 'AUDIT_UNAVAILABLE', message: 'audit: down', remedy: 'Wait.' },
      }),
    );
    await page.getByLabel('Note (optional)').fill('long thought about');
    await page.getByRole('button', { name: 'Flag' }).click();
    await expect.poll(() => page.getByRole('alert').innerText()).toMatch(/AUDIT_UNAVAILABLE/);
    expect(await page.getByLabel('Note (optional)').inputValue()).toBe('long thought about');
    expect(await page.getByRole('button', { name: 'Flag' }).getAttribute('aria-disabled')).toBeNull();
  });

  it('opens the next unreviewed record', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/records/8' });
    await tab.page.getByRole('button', { name: 'Next unreviewed' }).click();
    await tab.page.getByRole('heading', { name: 'Record 6' }).waitFor();
    await go(tab.page, '/records/1');
    await tab.page.getByRole('button', { name: 'Next unreviewed' }).click();
    await tab.page.getByText('There are no older unreviewed records.').first().waitFor();
  });

  it('shows an error for a missing record', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/4000' });
    expect(await tab.page.getByRole('alert').innerText()).toMatch(/RECORD_MISSING/);
    await go(tab.page, '/records/x');
    expect(await tab.page.getByRole('alert').innerText()).toMatch(/INVALID_REQUEST/);
    for (const address of ['/nothing/like/this/here', '/nothing', '/constructor', '/__proto__']) {
      await go(tab.page, address);
      expect(await tab.page.locator('main').innerText()).toMatch(/This page does not exist/);
    }
  });

  it('verifies the whole chain', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/15' });
    const { page } = tab;
    expect(await page.locator('#chain').innerText()).toMatch(/intact/);
    await page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await page
      .getByText(/Intact, but not covered: 20 records/)
      .first()
      .waitFor();
    // The view of another record also shows the result of the verification.
    await page.getByRole('link', { name: 'Record 16' }).click();
    await page.getByRole('heading', { name: 'Record 16' }).waitFor();
    await expect
      .poll(() => page.locator('.verification').innerText())
      .toMatch(/Intact, but not covered: 20 records/);
  });

  it('says that the chain is intact only if a checkpoint covers it', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records/15' });
    const sealed = { sequence: 20, time: '2026-11-25T08:06:00.000Z' };
    await tab.page.route('**/verify', (route) =>
      route.fulfill({ json: { ok: true, covered: true, records: 20, checkpoints: 1, sealed } }),
    );
    await tab.page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await expect.poll(() => tab.page.locator('.verification').innerText()).toMatch(/Intact: 20 records/);
  });

  const DAMAGE = 'the view of record %i explains the damage of another record';
  it.each([[9, 'comes before the damage and is verified']])(DAMAGE, explainsDamage);
  it.each([
    [10, 'comes before the damage and fits the chain, but no signed checkpoint covers it'],
    [12, 'This record is the damaged one'],
    [15, 'comes after the damage and is not verified'],
  ])(DAMAGE, { tags: ['long'] }, explainsDamage);

  async function explainsDamage(sequence: number, expected: string): Promise<void> {
    await using tab = await visit({ role: 'viewer', at: `/records/${sequence}` });
    const sealed = { sequence: 9, time: '2026-11-25T08:06:00.000Z' };
    await tab.page.route('**/verify', (route) =>
      route.fulfill({
        json: { ok: false, records: 11, checkpoints: 1, problem: { kind: 'edited', sequence: 12 }, sealed },
      }),
    );
    await tab.page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await expect.poll(() => tab.page.locator('.verification').innerText()).toMatch(expected);
    expect(await tab.page.locator('.verification').innerText()).toMatch(/Damaged \(edited\) at record 12/);
  }

  const CONTRADICTION = 'the view of record %i explains a checkpoint that contradicts the chain';
  it.each([[10, 'comes before the damage and is verified']])(CONTRADICTION, explainsContradiction);
  it.each([
    [11, 'is in that range and is not verified'],
    [13, 'is in that range and is not verified'],
    [14, 'is in that range and is not verified'],
    [15, 'comes after the damage and is not verified'],
  ])(CONTRADICTION, { tags: ['long'] }, explainsContradiction);

  async function explainsContradiction(sequence: number, expected: string): Promise<void> {
    await using tab = await visit({ role: 'viewer', at: `/records/${sequence}` });
    const { page } = tab;
    const problem = { kind: 'checkpoint', sequence: 14, after: 10 };
    await page.route('**/verify', (route) =>
      route.fulfill({ json: { ok: false, records: 9, checkpoints: 1, problem, from: 5, cutProved: true } }),
    );
    await page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await expect.poll(() => page.locator('.verification').innerText()).toMatch(expected);
    const text = await page.locator('.verification').innerText();
    expect(text).toMatch(/Damaged \(checkpoint\) at one of the records 11 to 14, checked/);
    expect(text).toMatch(/Either the first altered record is in this range, or the checkpoint was forged\./);
    expect(text).toMatch(
      /The chain begins at record 5\. The link to the removed record 4 is verified by a checkpoint/,
    );
    await page.getByRole('link', { name: '11 to 14' }).click();
    await page.getByRole('link', { name: '#14', exact: true }).waitFor();
    expect(await page.getByRole('link', { name: '#15', exact: true }).count()).toBe(0);
  }

  const UNKNOWN_KEY = 'the view of record %i explains a checkpoint with an unknown key';
  it.each([[9, 'This record is verified']])(UNKNOWN_KEY, explainsUnknownKey);
  it.each([[14, 'This record fits the chain, but no checkpoint with a known key covers it']])(
    UNKNOWN_KEY,
    { tags: ['long'] },
    explainsUnknownKey,
  );

  async function explainsUnknownKey(sequence: number, expected: string): Promise<void> {
    await using tab = await visit({ role: 'viewer', at: `/records/${sequence}` });
    const { page } = tab;
    const problem = { kind: 'checkpoint', sequence: 14, after: 10, unknownKey: true };
    const sealed = { sequence: 10, time: '2026-11-25T08:06:00.000Z' };
    await page.route('**/verify', (route) =>
      route.fulfill({ json: { ok: false, records: 13, checkpoints: 1, problem, sealed } }),
    );
    await page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await expect.poll(() => page.locator('.verification').innerText()).toMatch(expected);
    expect(await page.locator('.verification').innerText()).toMatch(
      /Unknown signing key: the checkpoint of record 14 matches the chain, but an unknown key signed it/,
    );
  }

  it('shows a warning if the verification could not check whether the chain continues the removed records', async () => {
    await using tab = await visit({ role: 'viewer' });
    await tab.page.route('**/verify', (route) =>
      route.fulfill({ json: { ok: true, records: 16, checkpoints: 0, from: 5, cutProved: false } }),
    );
    await tab.page.getByRole('button', { name: 'Verify the whole chain' }).click();
    await expect
      .poll(() => tab.page.locator('.verification').innerText())
      .toMatch(
        /Intact, but not covered: 16 records.*begins at record 5\. The link to the removed record 4 is not verified\./,
      );
  });

  it('continues a verification while the page refreshes or the user opens another view', async () => {
    let version = '1.2.3';
    await using tab = await visit({ role: 'viewer', at: '/mappings' });
    const { page } = tab;
    const verify = await delayResponses(page, '**/verify');
    await page.route('**/api/v1/status', (route) => route.fulfill({ json: { ...STATUS, version } }));
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByText('version 1.2.3').waitFor();
    const button = page.getByRole('button', { name: 'Verify the whole chain' });
    await button.click();
    version = '1.2.4';
    await appendRecord(tab.site);
    await page.getByText('version 1.2.4').waitFor();
    await go(page, '/records/9');
    expect(await button.getAttribute('aria-disabled')).toBe('true');
    expect(await page.locator('.verification').innerText()).toMatch(/Reading every record…/);
    verify.release();
    await expect
      .poll(() => page.locator('.verification').innerText())
      .toMatch(/Intact, but not covered: 21 records/);
    expect(await button.getAttribute('aria-disabled')).toBeNull();
    expect(verify.requestCount()).toBe(1);
    expect(tab.complaints).toEqual([]);
  });

  it('the history of a target links to the record of each change, and lists the newest change first', async () => {
    await using tab = await visit({ role: 'viewer', at: '/targets/payments/payments-db' });
    const items = await tab.page.locator('.timeline > li').allInnerTexts();
    expect(items.map((text) => /^\w+/.exec(text)?.[0])).toEqual(['update', 'repair', 'create']);
    expect(await tab.page.locator('.timeline > li').first().innerText()).toMatch(/event from ci/);
    expect(await tab.page.locator('.timeline > li').first().innerText()).toMatch(
      /team-vault: payments\/db 13/,
    );
    await tab.page.locator('.timeline > li').first().getByRole('link', { name: 'update' }).click();
    await tab.page.getByRole('heading', { name: 'Change 13' }).waitFor();
  });

  it('does not show an intent as unresolved if its outcome is on the previous page', async () => {
    const target = { mapping: 'payments-db', namespace: 'payments', secret: 'payments-db' };
    const open = entry({ ...target, requestId: 'open', phase: 'intent', action: 'update' });
    const changes = Array.from({ length: 51 }, (_, n) => change(n, { ...target, action: 'update' }));
    const entries = [open, ...changes.flat(), entry({ ...target, action: 'refuse', outcome: 'refused' })];
    await using tab = await visit({
      ...{ role: 'viewer', at: '/targets/payments/payments-db' },
      scene: { ...typical(), entries },
    });
    const { page } = tab;
    const items = page.locator('.timeline > li');
    // An intent and its outcome are one change. The first intent has no outcome.
    expect(await items.count()).toBe(50);
    expect(await page.locator('.timeline > .pending').count()).toBe(0);
    await page.getByRole('link', { name: 'Older' }).click();
    await page.getByRole('link', { name: 'Newest' }).waitFor();
    expect((await items.allInnerTexts()).map((text) => /^update\s+(\w+)/.exec(text)?.[1])).toEqual([
      'ok',
      'ok',
      'pending',
    ]);
  });

  it('shows an intent without an outcome', async () => {
    await using tab = await visit({ role: 'viewer' });
    await tab.site.audit.append([
      {
        ...{ actor: { kind: 'schedule' }, requestId: 'r', phase: 'intent', action: 'update', outcome: 'ok' },
        ...{ mapping: 'm', namespace: 'n', secret: 's', sources: [], durationMs: 0, attempt: 1 },
        keys: { added: [], changed: [], removed: [] },
      },
    ]);
    await go(tab.page, '/records/21');
    expect(await tab.page.locator('.halves').innerText()).toMatch(/There is no outcome yet/);
  });
});
