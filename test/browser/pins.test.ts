// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Service, SyncAnswer, TargetStatus } from '../../src/service/service.ts';
import { axe } from './chromium.ts';
import { column, describeInChromium, go } from './harness.ts';
import { mappingsOf, STATUS } from './scene.ts';
import { rolledBack } from './scene-pins.ts';

/** A service that pins and unpins targets. */
function pinningService() {
  const calls: string[] = [];
  let targets: readonly TargetStatus[] = STATUS.targets;
  const pin = (mapping: string, namespace: string | undefined, pinned?: number): void => {
    targets = targets.map((target) => {
      if (target.mapping !== mapping || (namespace !== undefined && target.namespace !== namespace))
        return target;
      const { pinned: _, ...rest } = target;
      return pinned === undefined ? { ...rest, state: 'synced' } : { ...rest, state: 'pinned', pinned };
    });
  };
  const answer = (requestId: string): SyncAnswer => ({
    ...{ ok: true, requestId, summary: { updated: 1 }, targets: [], held: [], warnings: [], pending: 0 },
  });
  const service: Partial<Service> = {
    mappings: () => mappingsOf(targets),
    mapping: (name) => mappingsOf(targets).find(({ mapping }) => mapping === name),
    async rollback(name, { to, namespace }, by, requestId) {
      calls.push(`rollback ${name} ${to} ${namespace} by ${by.name}`);
      pin(name, namespace, to);
      return answer(requestId);
    },
    async unpin(name, { namespace }, by, requestId) {
      calls.push(`unpin ${name} ${namespace} by ${by.name}`);
      pin(name, namespace);
      return answer(requestId);
    },
  };
  return { calls, service };
}

const FAILED = { outcome: 'failed', code: 'CLUSTER_UNAVAILABLE' };

describeInChromium('the controls for rollback and unpin', (visit) => {
  it('shows the effects of a rollback, and then rolls the target back to a recorded change', async () => {
    const { calls, service } = pinningService();
    await using tab = await visit({ role: 'operator', at: '/records/13', service });
    const { page } = tab;
    await page.getByRole('button', { name: 'Roll back to this version…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Roll back to record 13?' });
    const text = await dialog.innerText();
    expect(text).toMatch(/payments\/payments-db will be rebuilt/);
    expect(text).toMatch(/team-vault: payments\/db, version 13/);
    expect(text).toMatch(/keeps these versions until you unpin it/);
    expect(text).toMatch(/nothing changes/);
    // The dialog opens with the focus on its cancel button.
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel');
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Pinned payments/payments-db to record 13: 1 updated.').first().waitFor();
    expect(calls).toEqual(['rollback payments-db 13 payments by the-operator']);
    expect(await page.locator('#live').innerText()).toMatch(/^Pinned/);
    await go(page, '/targets/payments/payments-db');
    expect(await page.locator('.notice').innerText()).toMatch(/^Pinned to #13\. The target keeps/);
    expect(tab.complaints).toEqual([]);
  });

  it('shows the rollback button of a record only if the record contains the version of a written value', async () => {
    await using tab = await visit({ role: 'operator' });
    for (const [at, what] of [
      ['/records/12', 'an intent'],
      ['/records/8', 'a refusal'],
      ['/records/15', 'a change that failed'],
      ['/records/7', 'a change that names no source'],
      ['/records/2', 'a read'],
    ] as const) {
      await go(tab.page, at);
      await tab.page.getByRole('heading', { name: 'Place in the chain' }).waitFor();
      expect(await tab.page.getByRole('button', { name: /Roll back/ }).count(), what).toBe(0);
    }
  });

  it('shows the buttons for rollback and unpin only to users with the role operator', async () => {
    await using tab = await visit({ role: 'reviewer', at: '/records/13', scene: rolledBack() });
    await tab.page.getByText('Rolling back requires the role operator.').waitFor();
    expect(await tab.page.getByRole('button', { name: /Roll back/ }).count()).toBe(0);
    for (const view of ['/mappings/cache', '/targets/shop/redis-auth', '/mappings']) {
      await go(tab.page, view);
      await tab.page.getByRole('link', { name: '#22' }).first().waitFor();
      expect(await tab.page.getByRole('button', { name: /Unpin/ }).count()).toBe(0);
    }
  });

  it('keeps the dialog open and shows the error when a rollback is refused', async () => {
    const rollback = async () => {
      throw new AppError('VERSION_GONE', { subject: 'store team-vault, key payments/db' });
    };
    await using tab = await visit({ role: 'operator', at: '/records/13', service: { rollback } });
    const { page } = tab;
    await page.getByRole('button', { name: 'Roll back to this version…' }).click();
    await page.getByRole('button', { name: 'Roll back', exact: true }).click();
    await expect.poll(() => page.getByRole('dialog').innerText()).toMatch(/VERSION_GONE/);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
    const button = page.getByRole('button', { name: 'Roll back to this version…' });
    expect(await button.evaluate((one) => one === document.activeElement)).toBe(true);
  });

  it('shows a warning if a rollback pins the target but cannot change the target', async () => {
    const rollback: Service['rollback'] = async (_, __, ___, requestId) => ({
      ...{ ok: false, requestId, summary: { failed: 1 }, held: [], warnings: [], pending: 0 },
      targets: [{ mapping: 'payments-db', namespace: 'payments', secret: 'payments-db', ...FAILED }],
    });
    await using tab = await visit({ role: 'operator', at: '/records/13', service: { rollback } });
    const { page } = tab;
    await page.getByRole('button', { name: 'Roll back to this version…' }).click();
    await page.getByRole('button', { name: 'Roll back', exact: true }).click();
    await page.locator('.notice.warn', { hasText: '1 failed (CLUSTER_UNAVAILABLE)' }).waitFor();
  });

  const UNPINS = 'unpins a target from %s';
  it.each(['/mappings/cache'])(UNPINS, unpins);
  it.each(['/targets/shop/redis-auth', '/mappings?state=pinned'])(UNPINS, { tags: ['long'] }, unpins);

  async function unpins(at: string): Promise<void> {
    const { calls, service } = pinningService();
    await using tab = await visit({ role: 'operator', at, service, scene: rolledBack() });
    const { page } = tab;
    const main = page.getByRole('main');
    expect(await main.getByRole('link', { name: '#22' }).first().getAttribute('href')).toBe('#/records/22');
    await page.getByRole('button', { name: 'Unpin: shop/redis-auth' }).click();
    const text = await page.getByRole('dialog', { name: 'Unpin this target?' }).innerText();
    expect(text).toMatch(/pinned to the versions of record 22/);
    expect(text).toMatch(/current values now/);
    expect(await axe(page)).toEqual([]);
    await page.getByRole('button', { name: 'Unpin', exact: true }).click();
    await page.getByText('Unpinned shop/redis-auth: 1 updated.').first().waitFor();
    expect(calls).toEqual(['unpin cache shop by the-operator']);
    expect(await page.getByRole('button', { name: /^Unpin/ }).count()).toBe(0);
    expect(tab.complaints).toEqual([]);
  }

  it('shows each pinned target with the record to which it is pinned', async () => {
    await using tab = await visit({ role: 'viewer', at: '/mappings?state=pinned' });
    expect(await column(tab.page, 'Target')).toEqual(['shop/redis-auth']);
    expect(await column(tab.page, 'State')).toEqual([expect.stringMatching(/^pinned\s*to #22$/)]);
  });

  const ACCESSIBLE = 'the controls have no axe violations and fit at width %i in %s mode';
  it.each([[360, 'dark']] as const)(ACCESSIBLE, isAccessible);
  it.each([
    [820, 'light'],
    [1440, 'light'],
  ] as const)(ACCESSIBLE, { tags: ['long'] }, isAccessible);

  async function isAccessible(width: number, theme: 'light' | 'dark'): Promise<void> {
    await using tab = await visit({ width, theme, role: 'operator', scene: rolledBack() });
    const { page } = tab;
    const over = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    for (const view of ['/records/22', '/records/25', '/targets/shop/redis-auth', '/mappings/cache']) {
      await go(page, view);
      expect([await axe(page), await over()], view).toEqual([[], 0]);
    }
    await page.getByRole('button', { name: 'Unpin: shop/redis-auth' }).click();
    expect([await axe(page), await over()]).toEqual([[], 0]);
  }

  it('shows no pin in the history of a target whose mapping was removed', async () => {
    const scene = { ...rolledBack(), mappings: [] };
    await using tab = await visit({ role: 'viewer', at: '/targets/shop/redis-auth', scene });
    expect(await tab.page.locator('.timeline > li').count()).toBe(4);
    expect(await tab.page.locator('.notice').count()).toBe(0);
  });
});
