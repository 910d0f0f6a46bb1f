// biome-ignore-all lint/performance/useDomNodeTextContent: it is Playwright's, and what a person sees is meant
import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { ApprovalStatus } from '../../src/service/approvals.ts';
import type { HeldStatus, Service } from '../../src/service/service.ts';
import { done } from '../http/harness.ts';
import { axe } from './chromium.ts';
import { describeInChromium } from './harness.ts';

const BRAKE = { reason: 'brake: 3 of 4 targets', since: '2026-11-25T07:50:00.000Z' } as const;

function heldOf(n: number): HeldStatus {
  return {
    ...{ id: `${n}`.repeat(12), mapping: 'old', namespace: `team-${n}`, secret: 'old', action: 'delete' },
    ...{ keys: [{ name: `KEY_${n}`, action: 'remove' }], ...BRAKE },
  };
}

const HELD = [1, 2, 3].map(heldOf);

/** A service whose holds can be released, except the one of team 2. */
function releasingService() {
  const calls: string[] = [];
  let held: readonly HeldStatus[] = HELD;
  const service: Partial<Service> = {
    held: () => held,
    async release(id, _, requestId) {
      calls.push(id);
      if (id === HELD[1]?.id) throw new AppError('NOT_HELD');
      held = held.filter((one) => one.id !== id);
      return done(requestId);
    },
  };
  return { calls, service };
}

const APPROVAL: ApprovalStatus = {
  ...{ id: '5f2c9a01d3e4', sequence: 12, action: 'release', command: 'release 5f2c9a01d3e4' },
  ...{ mapping: 'old', namespace: 'team-1', secret: 'old', state: 'pending', requestedBy: 'ann' },
  keys: { added: [], changed: [], removed: ['KEY_1'] },
  ...{ requestedAt: '2026-11-25T08:00:00.000Z', until: '2026-11-25T16:00:00.000Z', requestId: 'r' },
};

function approvingService(approval: ApprovalStatus) {
  const calls: string[] = [];
  let approvals: readonly ApprovalStatus[] = [approval];
  const decide = (): void => {
    approvals = [];
  };
  const service: Partial<Service> = {
    held: () => [],
    approvals: async () => approvals,
    async approve(id, by, requestId, note) {
      calls.push(`approve ${id} by ${by.name}: ${note}`);
      decide();
      return { ...done(requestId), approval: { ...approval, state: 'done' } };
    },
    async reject(id, by, _, note) {
      calls.push(`reject ${id} by ${by.name}: ${note}`);
      decide();
      return { ...approval, state: 'rejected' };
    },
  };
  return { calls, service };
}

describeInChromium('the list of holds', (visit) => {
  it('shows the reason, the time and the lost keys of each held change', async () => {
    await using tab = await visit({ role: 'viewer', at: '/holds', service: releasingService().service });
    const text = await tab.page.locator('.holds > li').first().innerText();
    expect(text).toMatch(/Reason: brake: 3 of 4 targets\. Held since 25 Nov/);
    expect(text).toMatch(/1 key would be lost together with the Secret:\s*KEY_1/);
    expect(await tab.page.getByRole('button', { name: /Release all/ }).count()).toBe(0);
  });

  it('releases all changes of one cause after showing their keys, and names those that were refused', async () => {
    const { calls, service } = releasingService();
    await using tab = await visit({ role: 'operator', at: '/holds', service });
    const { page } = tab;
    await page.getByRole('button', { name: 'Release all 3…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Release all 3 changes?' });
    for (const key of ['KEY_1', 'KEY_2', 'KEY_3']) expect(await dialog.innerText()).toContain(key);
    expect(await axe(page)).toEqual([]);
    expect(calls).toEqual([]);
    await dialog.getByRole('button', { name: 'Release and delete' }).click();
    await page.getByText('Released 2 of 3 changes. Not released: team-2/old (NOT_HELD).').first().waitFor();
    expect(calls).toEqual(HELD.map(({ id }) => id));
    expect(await page.locator('.holds > li').allInnerTexts()).toEqual([
      expect.stringContaining('team-2/old'),
    ]);
  });

  it('says what would be in an empty list', async () => {
    await using tab = await visit({ role: 'viewer', at: '/holds', service: { held: () => [] } });
    await tab.page.getByText('There are no held changes. A deletion beyond the limit').waitFor();
  });
});

describeInChromium('the requests for approval', (visit) => {
  it('shows who asked and the lost keys, and approves with a note', async () => {
    const { calls, service } = approvingService(APPROVAL);
    await using tab = await visit({ role: 'operator', at: '/holds', service });
    const { page } = tab;
    const request = page.getByRole('region', { name: 'Waiting for approval' });
    expect(await request.innerText()).toMatch(/Requested by ann .*open until .*KEY_1/s);
    await page.getByRole('button', { name: 'Approve: release team-1/old' }).click();
    const dialog = page.getByRole('dialog', { name: 'Approve this release?' });
    expect(await dialog.innerText()).toMatch(/runs release 5f2c9a01d3e4 on team-1\/old at once/);
    await dialog.getByLabel('Note (optional)').fill(' ticket 7 ');
    await dialog.getByRole('button', { name: 'Approve' }).click();
    await page
      .getByText(/^Approved release of team-1\/old/)
      .first()
      .waitFor();
    expect(calls).toEqual(['approve 5f2c9a01d3e4 by the-operator: ticket 7']);
    expect(await request.count()).toBe(0);
  });

  it('rejects a request, and lets the person who asked only withdraw it', async () => {
    const other = approvingService(APPROVAL);
    await using tab = await visit({ role: 'viewer', at: '/holds', service: other.service });
    await tab.page.getByRole('button', { name: 'Reject: release team-1/old' }).click();
    await tab.page.getByRole('button', { name: 'Reject', exact: true }).click();
    await tab.page.getByText('Rejected release of team-1/old.').first().waitFor();
    expect(other.calls).toEqual(['reject 5f2c9a01d3e4 by the-viewer: undefined']);

    const own = approvingService({ ...APPROVAL, requestedBy: 'the-operator' });
    await using second = await visit({ role: 'operator', at: '/holds', service: own.service });
    await second.page.getByRole('button', { name: 'Withdraw: release team-1/old' }).waitFor();
    expect(await second.page.getByRole('button', { name: /^Approve/ }).count()).toBe(0);
  });
});
