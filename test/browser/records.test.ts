// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES, SYNC_STATES } from '../../src/core/words.ts';
import { appendRecord, column, describeInChromium, go } from './harness.ts';
import { entry, print, target, typical } from './scene.ts';

const REQUEST = 'c9c42967-b26d-41d7-aa38-000000000004';
const FINGERPRINT = print('a047cb0180');
const VALUE = print('4b0f79b1a0');
const SOURCE = { store: 'team-vault', key: 'app/db' } as const;

describeInChromium('the list of records', (visit) => {
  it('shows only records that match a filter, for each field, and shows the same records if the URL is opened again', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records' });
    const { page } = tab;
    const cases: readonly (readonly [label: string, value: string, expected: readonly string[]])[] = [
      ['Mapping', 'payments-db', ['#13', '#12', '#11', '#10', '#5', '#4']],
      ['Namespace', 'billing', ['#15', '#14']],
      ['Secret', 'stripe', ['#15', '#14']],
      ['Action', 'adopt', ['#7', '#6']],
      ['Outcome', 'refused', ['#8']],
      ['Review', 'flagged', ['#7']],
      ['Review', 'reviewed', ['#5']],
      ['Since', '2026-11-25T08:11:00Z', ['#20', '#19', '#18']],
      ['Until', '2026-11-25T08:02:00Z', ['#3', '#2', '#1']],
      ['Actor', 'ann', ['#18', '#7', '#6']],
      ['Actor', 'drift', ['#11', '#10']],
      ['Store', 'azure-prod', ['#16']],
      ['Source key', 'payments/db', ['#13', '#12', '#5', '#4', '#2']],
      ['Error code', 'NOT_OWNED', ['#8']],
      ['Request ID', REQUEST, ['#11', '#10']],
      ['Fingerprint', FINGERPRINT, ['#13', '#12', '#11', '#10', '#5', '#4']],
    ];
    for (const [label, value, expected] of cases) {
      await go(page, '/records');
      const moreFilters = page.getByText('More filters');
      const field = page.getByRole('search').getByLabel(label, { exact: true });
      if (!(await field.isVisible())) await moreFilters.click();
      if ((await field.evaluate(({ tagName }) => tagName)) === 'SELECT') await field.selectOption(value);
      else await field.fill(value);
      await page.getByRole('button', { name: 'Apply filters' }).click();
      await expect.poll(() => column(page, 'Record'), { message: label }).toEqual(expected);
      const address = page.url();
      await go(page, '/holds');
      await page.goBack();
      await expect.poll(() => column(page, 'Record'), { message: label }).toEqual(expected);
      expect(page.url()).toBe(address);
      expect(await field.inputValue()).toBe(value);
    }
    expect(tab.complaints).toEqual([]);
  });

  it('applies several filters at the same time, and lets the user remove each filter separately', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records?mapping=payments-db&action=update' });
    const { page } = tab;
    expect(await column(page, 'Record')).toEqual(['#13', '#12']);
    await page.getByRole('link', { name: 'Remove the filter Action update' }).click();
    await expect.poll(() => column(page, 'Record')).toHaveLength(6);
    await page.getByRole('button', { name: 'Clear' }).click();
    await expect.poll(() => column(page, 'Record')).toHaveLength(20);
  });

  it('reports an empty result and an invalid filter', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records?mapping=nothing' });
    expect(await tab.page.getByText('No record matches these filters.').isVisible()).toBe(true);
    await go(tab.page, '/records?since=yesterday');
    expect(await tab.page.getByRole('alert').innerText()).toMatch(/INVALID_REQUEST/);
    // The user can correct the filter on the same page.
    await tab.page.getByRole('search').getByLabel('Since').fill('2000-01-01');
    await tab.page.getByRole('button', { name: 'Apply filters' }).click();
    await expect.poll(() => column(tab.page, 'Record')).toHaveLength(20);
    expect(await tab.page.getByRole('alert').count()).toBe(0);
  });

  it('offers every action, outcome, review state and target state of the API as a filter', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records' });
    const words = async (id: string) =>
      (await tab.page.locator(`#${id} option`).allInnerTexts()).filter((word) => word !== 'any').sort();
    expect(await words('filter-action')).toEqual([...ACTIONS].sort());
    expect(await words('filter-outcome')).toEqual([...OUTCOMES].sort());
    expect(await words('filter-review')).toEqual([...REVIEW_STATES].sort());
    await go(tab.page, '/mappings');
    expect(await words('state')).toEqual([...SYNC_STATES].sort());
  });

  it('pages back and forth without gaps or duplicates', async () => {
    const entries = Array.from({ length: 120 }, (_, n) => entry({ store: 'team-vault', key: `app/${n}` }));
    await using tab = await visit({ role: 'viewer', at: '/records', scene: { ...typical(), entries } });
    const { page } = tab;
    const seen = [...(await column(page, 'Record'))];
    for (const last of ['#21', '#1']) {
      await page.getByRole('link', { name: 'Older' }).click();
      await page.getByRole('link', { name: last, exact: true }).waitFor();
      seen.push(...(await column(page, 'Record')));
    }
    expect(seen).toEqual(entries.map((_, n) => `#${120 - n}`));
    expect(await page.getByRole('link', { name: 'Older' }).count()).toBe(0);
    await page.goBack();
    await page.getByRole('link', { name: '#70', exact: true }).waitFor();
    await page.getByRole('link', { name: 'Newest' }).click();
    await page.getByRole('link', { name: '#120', exact: true }).waitFor();
  });

  it('draws a thousand records quickly', async () => {
    const entries = Array.from({ length: 1_000 }, (_, n) => entry({ store: 'team-vault', key: `app/${n}` }));
    await using tab = await visit({ role: 'viewer', at: '/holds', scene: { ...typical(), entries } });
    const { page } = tab;
    // Measures the time from the click to the frame that shows the rows. The service needs only a small part of this
    // time.
    const durationMs = await page.evaluate(async () => {
      const start = performance.now();
      location.hash = '#/records?limit=1000';
      while (document.querySelectorAll('tbody tr').length < 1_000)
        await new Promise((resolve) => requestAnimationFrame(resolve));
      return performance.now() - start;
    });
    // The duration is about 400 ms on an idle machine.
    expect(durationMs).toBeLessThan(4_000);
  });

  it('announces new records without moving the list', async () => {
    await using tab = await visit({ role: 'viewer', at: '/holds' });
    const { page, site } = tab;
    await go(page, '/records');
    await appendRecord(site);
    await page.getByText('There are newer records.').waitFor();
    expect((await column(page, 'Record'))[0]).toBe('#20');
    await page.getByRole('button', { name: 'Show new records' }).click();
    await expect.poll(async () => (await column(page, 'Record'))[0]).toBe('#21');
  });

  it('keeps the list and shows an error when the service is unreachable', async () => {
    await using tab = await visit({ role: 'viewer', at: '/records' });
    const { page } = tab;
    await page.route('**/api/**', (route) => route.abort());
    await page.getByRole('button', { name: 'Refresh' }).click();
    await expect.poll(() => page.getByRole('alert').innerText()).toMatch(/does not respond/);
    expect(await column(page, 'Record')).toHaveLength(20);
    await page.unroute('**/api/**');
    await page.getByRole('button', { name: 'Refresh' }).click();
    await expect.poll(() => page.getByRole('alert').count()).toBe(0);
  });

  const BAD_RESPONSE = 'shows an error when a response %s';
  it.each([
    [
      'is cut off',
      '{"held":[',
      1_000,
      /response of the service ended early\. UNREACHABLE\s+Check that the service is running/,
    ],
  ] as const)(BAD_RESPONSE, showsError);
  it.each([
    [
      'is from another server',
      '<p>Welcome</p>',
      14,
      /not from secretbridge\. HTTP_200\s+Check what is between/,
    ],
    ['is empty', '', 0, /not from secretbridge\. HTTP_200\s+Check what is between/],
  ] as const)(BAD_RESPONSE, { tags: ['long'] }, showsError);
  async function showsError(_: string, text: string, length: number, expected: RegExp): Promise<void> {
    const server = createServer((__, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': length });
      if (text.length === length) response.end(text);
      else response.write(text, () => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await using tab = await visit({ role: 'viewer' });
      const { page } = tab;
      const { port } = server.address() as AddressInfo;
      await page.route('**/held?**', (route) => route.continue({ url: `http://127.0.0.1:${port}/` }));
      await go(page, '/holds');
      expect(await page.getByRole('alert').innerText()).toMatch(expected);
      await page.unroute('**/held?**');
      await page.getByRole('button', { name: 'Refresh' }).click();
      await page.getByText('would be lost').first().waitFor();
      expect(tab.complaints).toEqual([]);
    } finally {
      server.close();
    }
  }

  it('shows the sequence number of the last record, and never rounds a duration to 60 minutes', async () => {
    const { status, ...scene } = typical();
    const targets = [
      target('a', 'a', 'a', { state: 'stale', staleSeconds: 7_199 }),
      target('b', 'b', 'b', { state: 'stale', staleSeconds: 3_599 }),
    ];
    await using tab = await visit({ role: 'viewer', scene: { ...scene, status: { ...status, targets } } });
    expect(await column(tab.page, 'Last activity')).toContain('last record #48213');
    expect(await column(tab.page, 'Last synced')).toEqual([
      expect.stringMatching(/ 2 h 0 min ago$/),
      expect.stringMatching(/ 1 h 0 min ago$/),
    ]);
  });

  it('shows why the service has not started, and does not show the service as healthy', async () => {
    const { status, ...scene } = typical();
    const down = { state: 'down', code: 'AUDIT_TRUNCATED' } as const;
    const audit = { ...status.audit, ...down };
    const idle = { ...status, engine: { ...status.engine, ...down }, audit, stores: [], targets: [] };
    const held = () => {
      throw new AppError('AUDIT_TRUNCATED', { subject: 'audit store', detail: 'it ends at record 7' });
    };
    await using tab = await visit({ role: 'viewer', scene: { ...scene, status: idle }, service: { held } });
    const { page } = tab;
    expect(await page.getByRole('alert').textContent()).toContain('it ends at record 7');
    expect(await page.getByRole('alert').textContent()).toContain('secretbridge audit accept');
    expect(await page.locator('main').innerText()).not.toMatch(
      /No target has failed|Every target is as fresh/,
    );
    expect(await column(page, 'Part')).toContain('Audit');
    expect(tab.complaints).toEqual([]);
  });

  it('shows at most 50 source versions of a value, and reports if more versions exist', async () => {
    const versions = Array.from({ length: 51 }, (_, n) => ({ ...SOURCE, version: String(n) }));
    const entries = versions.map((source) => entry({ ...SOURCE, sources: [source], after: VALUE }));
    const at = `/records?fingerprint=${encodeURIComponent(VALUE)}`;
    for (const [count, noticeCount] of [
      [50, 0],
      [51, 1],
    ] as const) {
      const scene = { ...typical(), entries: entries.slice(0, count) };
      await using tab = await visit({ role: 'viewer', at, scene });
      expect(await column(tab.page, 'Version')).toHaveLength(50);
      expect(await tab.page.getByText('More source versions had this value than the 50 shown.').count()).toBe(
        noticeCount,
      );
    }
  });

  it('a search for a value shows a note that an export contains fewer records than the page', async () => {
    const note = 'The export contains only the records with the fingerprint itself';
    await using tab = await visit({
      role: 'viewer',
      at: `/records?fingerprint=${encodeURIComponent(VALUE)}`,
    });
    const { page } = tab;
    expect(await page.getByText(note).isVisible()).toBe(true);
    // For a search by the fingerprint of a target, the page does not show the note.
    await go(page, `/records?fingerprint=${encodeURIComponent(FINGERPRINT)}`);
    expect(await column(page, 'Record')).toHaveLength(6);
    expect(await page.getByText(note).count()).toBe(0);
  });

  it('shows the source versions that contained a given value', async () => {
    await using tab = await visit({
      role: 'viewer',
      at: `/records?fingerprint=${encodeURIComponent(VALUE)}`,
    });
    const { page } = tab;
    expect(await page.getByRole('heading', { name: 'Sources that had this value' }).isVisible()).toBe(true);
    expect(await column(page, 'Version')).toEqual(['12']);
    expect(await column(page, 'Record')).toEqual(['#5', '#4', '#2']);
  });
});
