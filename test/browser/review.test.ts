// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import { axe } from './chromium.ts';
import { column, describeInChromium, go } from './harness.ts';
import { entry, request, typical } from './scene.ts';

/** One outage of a store, which stopped twelve targets. */
const OUTAGE = Array.from({ length: 12 }, (_, n) =>
  entry({
    ...{ action: 'read', outcome: 'failed', code: 'STORE_UNAVAILABLE', store: 'azure-prod' },
    ...{ key: `app-${n}/db`, requestId: request(100 + n) },
  }),
);

describeInChromium('the review queue', (visit) => {
  it('shows one row for a store that is down, with the number of its changes', async () => {
    const scene = { ...typical(), entries: OUTAGE };
    await using tab = await visit({ role: 'reviewer', at: '/review', scene });
    const { page } = tab;
    const causes = page.getByRole('list', { name: 'Causes' }).getByRole('listitem');
    await expect.poll(() => page.locator('.cause').count()).toBe(1);
    expect(await causes.first().innerText()).toMatch(/azure-prod.*12 changes/s);
    expect(await axe(page)).toEqual([]);
    expect(tab.complaints).toEqual([]);
  });

  it('reviews all changes of a cause by keyboard alone', async () => {
    const scene = { ...typical(), entries: OUTAGE };
    await using tab = await visit({ role: 'reviewer', at: '/review', scene });
    const { page, site } = tab;
    await page.locator('.cause input').focus();
    await page.keyboard.press('x');
    await page.getByRole('region', { name: 'Selected changes' }).waitFor();
    await page.keyboard.press('r');
    await page.getByText('12 changes reviewed.').first().waitFor();
    await page.getByText('Everything has been reviewed.').waitFor();
    const reviews = site.audit.records.filter(({ action }) => action === 'review');
    expect(reviews.map(({ review }) => review?.sequence).sort((a = 0, b = 0) => a - b)).toEqual(
      OUTAGE.map((_, n) => n + 1),
    );
  });

  it('keeps the keyboard in the list after a review, and leads to the heading when nothing is left', async () => {
    const other = entry({
      ...{ action: 'read', outcome: 'failed', code: 'STORE_UNAVAILABLE', store: 'team-vault' },
      ...{ key: 'app/db', requestId: request(99) },
    });
    const scene = { ...typical(), entries: [...OUTAGE, other] };
    await using tab = await visit({ role: 'reviewer', at: '/review', scene });
    const { page } = tab;
    await page.locator('.cause input').first().focus();
    await page.keyboard.press('x');
    await page.keyboard.press('r');
    await expect.poll(() => page.locator('.cause').count()).toBe(1);
    await expect.poll(() => page.locator('.cause input:focus').count()).toBe(1);
    await page.keyboard.press('x');
    await page.keyboard.press('r');
    await page.getByText('Everything has been reviewed.').waitFor();
    await expect.poll(() => page.locator('h1:focus').count()).toBe(1);
  });

  it('leads from a cause to its changes, and releases the held changes of a cause', async () => {
    await using tab = await visit({ role: 'operator', at: '/review' });
    const { page, site } = tab;
    const release = page.getByRole('button', { name: /^Release: / }).first();
    await release.click();
    const dialog = page.getByRole('dialog', { name: /^Release/ });
    expect(await dialog.innerText()).toMatch(/would be lost/);
    await dialog.getByRole('button', { name: /^Release/ }).click();
    await page
      .getByText(/^Released/)
      .first()
      .waitFor();
    expect(site.calls.length).toBeGreaterThan(0);
    await page.locator('.cause h2 a').first().click();
    await page.getByRole('heading', { level: 1, name: 'Changes' }).waitFor();
    expect(page.url()).toMatch(/review=unreviewed/);
  });

  it('leads from a cause on the overview to its changes alone, and explains its code', async () => {
    await using tab = await visit({ role: 'viewer' });
    const { page } = tab;
    const cause = page.getByRole('listitem').filter({ hasText: 'Mapping billing fails' });
    expect(await cause.getByRole('link', { name: 'CLUSTER_FORBIDDEN' }).count()).toBe(1);
    await cause.getByRole('link', { name: 'Mapping billing fails' }).click();
    await page.getByRole('heading', { level: 1, name: 'Changes' }).waitFor();
    await expect.poll(() => column(page, 'Outcome')).toEqual([expect.stringContaining('CLUSTER_FORBIDDEN')]);
    await go(page, '/');
    await page.getByRole('link', { name: 'The change waits for a decision' }).click();
    await expect.poll(() => column(page, 'Outcome')).toEqual(['held']);
  });

  it('a viewer sees the causes and cannot select them', async () => {
    await using tab = await visit({ role: 'viewer', at: '/review' });
    await expect.poll(() => tab.page.locator('.cause').count()).toBeGreaterThan(0);
    expect(await tab.page.locator('.cause input').count()).toBe(0);
    expect(await tab.page.getByRole('button', { name: /^Release/ }).count()).toBe(0);
  });

  it('says what an empty queue and an empty list of flags would show', async () => {
    await using tab = await visit({ role: 'viewer', at: '/review', scene: { ...typical(), entries: [] } });
    await tab.page.getByText('Everything has been reviewed. New failures').waitFor();
    await go(tab.page, '/review?show=flagged');
    await tab.page.getByText('No change is flagged.').waitFor();
  });
});
