// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { done } from '../http/harness.ts';
import { axe } from './chromium.ts';
import { appendRecord, column, describeInChromium, go } from './harness.ts';
import { mappingsOf, STATUS, target, typical } from './scene.ts';

const isFocused = (element: Element): boolean => element === document.activeElement;

describeInChromium('the dashboard (as an operator)', (visit) => {
  it('syncs a mapping, and then shows the result of the sync', async () => {
    await using tab = await visit({ role: 'operator', at: '/mappings' });
    await tab.page.getByRole('button', { name: 'Sync now: billing' }).click();
    await tab.page.getByText('1 updated, 2 unchanged').first().waitFor();
    expect(tab.site.calls).toEqual([{ what: 'sync billing', by: 'the-operator' }]);
    expect(await tab.page.locator('#live').innerText()).toBe('billing: 1 updated, 2 unchanged');
  });

  it('shows why a sync failed', async () => {
    await using tab = await visit({ role: 'operator', at: '/mappings/billing' });
    await tab.page.route('**/sync', (route) =>
      route.fulfill({
        status: 503,
        json: { code: 'QUEUE_UNAVAILABLE', message: 'redis: down', remedy: 'Wait.' },
      }),
    );
    await tab.page.getByRole('button', { name: 'Sync now: billing' }).click();
    await expect.poll(() => tab.page.getByRole('alert').innerText()).toMatch(/QUEUE_UNAVAILABLE\s+Wait\./);
  });

  it('releases a hold after showing the keys that would be lost', async () => {
    await using tab = await visit({ role: 'operator', at: '/holds' });
    const { page, site } = tab;
    await page.getByRole('button', { name: 'Release: delete batch/legacy-jobs' }).click();
    const dialog = page.getByRole('dialog', { name: 'Release this delete?' });
    const text = await dialog.innerText();
    expect(text).toMatch(/3 keys would be lost together with the Secret/);
    for (const key of ['FTP_PASSWORD', 'FTP_USER', 'SMTP_PASSWORD']) expect(text).toContain(key);
    expect(site.calls).toEqual([]);
    await dialog.getByRole('button', { name: 'Release and delete' }).click();
    await page.getByText('Released batch/legacy-jobs: 1 deleted.').first().waitFor();
    expect(site.calls).toEqual([{ what: 'release 5f2c9a01d3e4', by: 'the-operator' }]);
    expect(await page.getByRole('dialog').count()).toBe(0);
    // The release removed the focused button, so the focus moves to the heading.
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Holds');
    expect(await page.locator('.holds li').filter({ hasText: 'legacy-jobs' }).count()).toBe(0);
  });

  it('closes the release dialog if the user presses the cancel button or Escape, and restores the keyboard focus', async () => {
    await using tab = await visit({ role: 'operator', at: '/holds' });
    const { page, site } = tab;
    const release = page.getByRole('button', { name: 'Release: update shop/mailer' });
    for (const cancel of [
      () => page.getByRole('button', { name: 'Cancel' }).click(),
      () => page.keyboard.press('Escape'),
    ]) {
      await release.click();
      await page.getByRole('dialog').waitFor();
      // The dialog opens with the focus on its cancel button.
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel');
      await cancel();
      await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
      expect(await release.evaluate((button) => button === document.activeElement)).toBe(true);
    }
    expect(site.calls).toEqual([]);
  });

  it('keeps the dialog open when a release is refused', async () => {
    await using tab = await visit({ role: 'operator', at: '/holds' });
    await tab.page.route('**/release', (route) =>
      route.fulfill({ status: 404, json: { code: 'NOT_HELD', message: 'nothing is held', remedy: 'Look.' } }),
    );
    await tab.page.getByRole('button', { name: 'Release: update shop/mailer' }).click();
    await tab.page.getByRole('button', { name: 'Release', exact: true }).click();
    await expect.poll(() => tab.page.getByRole('dialog').innerText()).toMatch(/NOT_HELD/);
  });

  const EXPORTS = 'exports matching records as %s';
  it.each([['jsonl', 'JSON lines', /\.jsonl$/, /"mapping":"payments-db"/]] as const)(EXPORTS, exportsRecords);
  it.each([
    ['csv', 'CSV', /\.csv$/, /payments-db/],
    ['ocsf', 'OCSF', /\.ocsf\.jsonl$/, /payments-db/],
  ] as const)(EXPORTS, { tags: ['long'] }, exportsRecords);
  async function exportsRecords(_: string, title: string, name: RegExp, line: RegExp): Promise<void> {
    await using tab = await visit({ role: 'viewer', at: '/records?mapping=payments-db&action=update' });
    const { page } = tab;
    await page.getByLabel('Export matching records as').selectOption(title);
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Export' }).click(),
    ]);
    expect(file.suggestedFilename()).toMatch(name);
    const text = await readFile(await file.path(), 'utf8');
    const lines = text.split('\n').filter((one) => line.test(one));
    expect(lines).toHaveLength(2);
    expect(text).not.toMatch(/billing/);
    await page
      .getByText(/exported/)
      .first()
      .waitFor();
    // The audit log contains a record of the export. The record names the user who requested the export.
    expect(tab.site.audit.records.at(-1)).toMatchObject({ action: 'export', actor: { name: 'the-viewer' } });
    expect(tab.complaints).toEqual([]);
  }

  it('does not save an incomplete export', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records' });
    const { page } = tab;
    let saved = 0;
    page.on('download', () => {
      saved += 1;
    });
    await page.route('**/export?**', (route) =>
      route.fulfill({
        status: 503,
        json: { code: 'AUDIT_UNAVAILABLE', message: 'audit: down', remedy: 'Wait.' },
      }),
    );
    await page.getByRole('button', { name: 'Export' }).click();
    await expect.poll(() => page.getByRole('alert').innerText()).toMatch(/AUDIT_UNAVAILABLE/);
    expect(saved).toBe(0);
    expect(await page.getByRole('button', { name: 'Export' }).getAttribute('aria-disabled')).toBeNull();
  });

  it('shows only targets with a chosen state and name, and keeps this choice in the URL', async () => {
    await using tab = await visit({ role: 'operator', at: '/' });
    const { page } = tab;
    await page
      .getByRole('list', { name: 'Counts' })
      .getByRole('link', { name: /failed/ })
      .click();
    await expect.poll(() => column(page, 'Target')).toEqual(['billing/stripe']);
    const row = await page.locator('tbody tr').innerText();
    expect(row).toMatch(/CLUSTER_FORBIDDEN/);
    expect(row).toMatch(/secretbridge rbac/);
    await page.getByLabel('State').selectOption('any');
    await page.getByRole('searchbox', { name: 'Name' }).fill('not_owned');
    await expect.poll(() => column(page, 'Target')).toEqual(['search/elastic-credentials']);
    expect(page.url()).toMatch(/#\/mappings\?find=not_owned$/);
  });

  it('shows thousands of targets in steps of 200', async () => {
    const targets = Array.from({ length: 1_200 }, (_, n) => target(`m-${n}`, 'many', `s-${n}`));
    const scene = { ...typical(), status: { ...STATUS, targets }, mappings: mappingsOf(targets) };
    await using tab = await visit({ role: 'viewer', at: '/mappings', scene });
    const { page } = tab;
    await page.getByText('1,200 targets of 1,200').waitFor();
    const rows = page.locator('tbody tr');
    expect(await rows.count()).toBe(200);
    for (const count of [400, 600, 800, 1_000, 1_200]) {
      await page.getByRole('button', { name: 'Show 200 more' }).click();
      await expect.poll(() => rows.count()).toBe(count);
    }
    expect(await page.getByRole('button', { name: /^Show/ }).count()).toBe(0);
  });

  it('keeps the number of shown rows and the keyboard focus during an automatic refresh', async () => {
    let targets = Array.from({ length: 1_200 }, (_, n) => target(`m-${n}`, 'many', `s-${n}`));
    const service = { mappings: () => mappingsOf(targets) };
    await using tab = await visit({ role: 'viewer', at: '/holds', service });
    const { page } = tab;
    const rows = page.locator('tbody tr');
    await go(page, '/mappings');
    await page.getByRole('button', { name: 'Show 200 more' }).press('Enter');
    expect(await rows.count()).toBe(400);
    const link = rows.nth(200).getByRole('link').first();
    expect(await link.evaluate((element) => element === document.activeElement)).toBe(true);
    targets = [target('a', 'a', 'a'), ...targets];
    await page.getByText('1,201 targets of 1,201').waitFor();
    expect(await rows.count()).toBe(400);
    // The focus stays on the same target, which is one row further down.
    expect(await rows.nth(201).getByRole('link').first().evaluate(isFocused)).toBe(true);
    // A new filter resets the list to 200 rows.
    await page.getByLabel('State').selectOption('synced');
    expect(await rows.count()).toBe(200);
    await page.getByRole('button', { name: 'Show 200 more' }).click();
    await go(page, '/holds');
    await go(page, '/mappings');
    expect(await rows.count()).toBe(200);
  });

  it('delays the automatic update while a sync runs, and keeps the result of the sync', async () => {
    const gate = Promise.withResolvers<void>();
    let targets = STATUS.targets;
    let syncCalls = 0;
    await using tab = await visit({
      ...{ role: 'operator', at: '/mappings' },
      service: {
        mappings: () => mappingsOf(targets),
        async sync(_, __, requestId) {
          syncCalls += 1;
          await gate.promise;
          return done(requestId);
        },
      },
    });
    const { page, site } = tab;
    const button = page.getByRole('button', { name: 'Sync now: billing' });
    await button.click();
    await page.getByText('running…').waitFor();
    targets = [target('a', 'a', 'a'), ...targets];
    const requests: string[] = [];
    page.on('request', (request) => request.url().includes('/mappings?') && requests.push(request.url()));
    await appendRecord(site);
    // Playwright does not click elements with `aria-disabled`.
    await button.evaluate((element: HTMLElement) => element.click());
    expect(requests).toEqual([]);
    gate.resolve();
    await page.locator('main').getByText('1 updated').waitFor();
    await page.getByText('9 targets of 9').waitFor();
    expect(await page.locator('main').getByText('1 updated').count()).toBe(1);
    expect(syncCalls).toBe(1);
  });

  it('shows all keys and all searches that a mapping uses as sources', async () => {
    await using tab = await visit({ role: 'viewer', at: '/mappings/billing' });
    const items = await tab.page.locator('.plain-list li').allInnerTexts();
    expect(items).toEqual([
      'team-vault: billing/db',
      'aws-prod: billing/api',
      'team-vault: all matching keys below features/billing/ by ^flag-',
    ]);
  });

  it('shows the records of a removed mapping', async () => {
    await using tab = await visit({ role: 'viewer', at: '/holds', scene: { ...typical(), mappings: [] } });
    const { page } = tab;
    await page.getByRole('link', { name: 'legacy-jobs', exact: true }).click();
    await page.getByText('The configuration has no mapping with this name.').waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(await page.locator('.timeline > li').count()).toBeGreaterThan(0);
    expect(await axe(page)).toEqual([]);
    await page.locator('main').getByRole('link', { name: 'holds' }).click();
    await page.getByRole('heading', { level: 1, name: 'Holds' }).waitFor();
  });

  it('keeps the focus in place during an automatic refresh', async () => {
    const { STATUS: status } = await import('./scene.ts');
    let version = '1.2.3';
    await using tab = await visit({ role: 'operator', at: '/mappings' });
    const { page, site } = tab;
    await page.route('**/api/v1/status', (route) => route.fulfill({ json: { ...status, version } }));
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByText('version 1.2.3').waitFor();
    const link = page.getByRole('link', { name: 'billing', exact: true }).first();
    await link.focus();
    version = '1.2.4';
    await appendRecord(site);
    await page.getByText('version 1.2.4').waitFor();
    expect(await link.evaluate(isFocused)).toBe(true);
    await page.getByLabel('live').uncheck();
    version = '1.2.5';
    await appendRecord(site);
    await go(page, '/holds');
    await page.getByText('would be lost').first().waitFor();
    expect(await page.getByLabel('live').isChecked()).toBe(false);
  });
});
