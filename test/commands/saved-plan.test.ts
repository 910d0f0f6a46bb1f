import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findMoved,
  guardOf,
  movedText,
  parseSavedPlan,
  type SavedPlan,
} from '../../src/commands/saved-plan.ts';
import type { Decision } from '../../src/reconcile/decide.ts';

type Target = SavedPlan['targets'][number];

const PRINT = `0a1b2c3d:${'0'.repeat(64)}`;
const target = (more: Partial<Target> = {}): Target => ({
  mapping: 'db',
  namespace: 'apps',
  secret: 'db',
  action: 'update',
  resourceVersion: '7',
  sources: [{ store: 's', key: 'a', version: '1' }],
  keys: [{ name: 'KEY', action: 'change', before: PRINT, after: PRINT.replace('0a', '1b') }],
  ...more,
});
const planOf = (...targets: Target[]): SavedPlan => ({
  format: 'secretbridge.dev/plan/v1',
  instance: 'prod',
  madeAt: '2027-03-01T12:00:00.000Z',
  configHash: 'c'.repeat(64),
  targets,
});

const anyTarget = fc.record({
  mapping: fc.constantFrom('a', 'b', 'c'),
  namespace: fc.constantFrom('x', 'y'),
  secret: fc.constantFrom('s', 't'),
  action: fc.constantFrom<Target['action']>('create', 'update', 'delete', 'unchanged', 'fail'),
  resourceVersion: fc.constantFrom('1', '2'),
  sources: fc.uniqueArray(
    fc.record({
      store: fc.constantFrom('s', 't'),
      key: fc.constantFrom('a', 'b'),
      version: fc.constantFrom('1', '2'),
    }),
    { selector: ({ store, key }) => `${store} ${key}` },
  ),
  keys: fc.constant<Target['keys']>([]),
});
const anyPlan = fc
  .uniqueArray(anyTarget, {
    selector: ({ mapping, namespace, secret }) => `${mapping} ${namespace}/${secret}`,
  })
  .map((targets) => planOf(...targets));

describe('the changes since a plan was saved', () => {
  it('is nothing for the same plan, also after it was written and read', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        expect(findMoved(plan, plan)).toEqual([]);
        expect(parseSavedPlan(JSON.stringify(plan))).toEqual(plan);
      }),
    );
  });

  it('is something for two plans with different targets', () => {
    const sorted = ({ targets }: SavedPlan) =>
      targets
        .map((one) =>
          JSON.stringify({ ...one, sources: one.sources?.map((source) => JSON.stringify(source)).sort() }),
        )
        .sort();
    fc.assert(
      fc.property(anyPlan, anyPlan, (one, other) => {
        const isSame = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        expect(findMoved(one, other).length === 0).toBe(isSame);
      }),
    );
  });

  it.each<[string, Partial<Target>, readonly string[]]>([
    [
      'a source',
      { sources: [{ store: 's', key: 'a', version: '2' }] },
      ['store s, key a has version 2 instead of 1'],
    ],
    ['a source that is gone', { sources: [] }, ['store s, key a has version none instead of 1']],
    ['the Secret', { resourceVersion: '8' }, ['the Secret has resourceVersion 8 instead of 7']],
    ['the change', { action: 'hold' }, ['the change would be `hold` instead of `update`']],
    ['the content alone', { keys: [] }, ['the content would be different']],
  ])('names %s', (_, more, texts) => {
    const moved = findMoved(planOf(target()), planOf(target(more)));
    expect(moved.map(movedText)).toEqual(texts.map((text) => `apps/db (mapping db): ${text}`));
  });

  it('names targets that are new or gone, in order', () => {
    const moved = findMoved(planOf(target({ namespace: 'b' })), planOf(target({ namespace: 'a' })));
    expect(moved.map(movedText)).toEqual([
      'a/db (mapping db): the change would be `update` instead of `nothing`',
      'b/db (mapping db): the change would be `nothing` instead of `update`',
    ]);
  });

  it('names only the configuration if it has moved', () => {
    const moved = findMoved(planOf(target()), { ...planOf(), configHash: 'd'.repeat(64) });
    expect(moved.map(movedText)).toEqual(['the configuration has changed']);
  });

  it('is not an approval that was given meanwhile', () => {
    const waiting = target({ action: 'refuse', code: 'APPROVAL_NEEDED' });
    expect(findMoved(planOf(waiting), planOf(target()))).toEqual([]);
    expect(findMoved(planOf(waiting), planOf(target({ resourceVersion: '8' })))).toHaveLength(1);
  });
});

describe('a text that is not a saved plan', () => {
  it.each(['', '{', 'null', '[]', '{}', JSON.stringify({ ...planOf(), format: 'other' })])('%s', (text) => {
    expect(parseSavedPlan(text)).toBeUndefined();
  });

  it('is also one with a member that a plan does not have, such as a value', () => {
    const withValue = { ...planOf(), targets: [{ ...target(), value: 'x' }] };
    expect(parseSavedPlan(JSON.stringify(withValue))).toBeUndefined();
  });
});

describe('the guard of a saved plan', () => {
  const id = { namespace: 'apps', secret: 'db' };
  const decided = (
    kind: string,
    more: { version?: string; resourceVersion?: string; keys?: unknown } = {},
  ) => {
    const { version = '1', resourceVersion = '7', keys = target().keys } = more;
    return {
      plan: { kind, keys, change: { type: 'Opaque', data: new Map() } },
      live: { id, resourceVersion, type: 'Opaque', data: new Map() },
      desired: {
        kind: 'ready',
        data: new Map(),
        sources: new Map([['KEY', { store: 's', key: 'a', version }]]),
      },
    } as unknown as Decision;
  };
  const guard = guardOf(planOf(target()));
  const detail = (decision: Decision, mapping = 'db') => guard.refusal(mapping, id, decision)?.detail;

  it('allows the planned change', () => {
    expect(guard.refusal('db', id, decided('update'))).toBeUndefined();
  });

  it('refuses a change that moved after the check, and names what moved', () => {
    expect(detail(decided('update', { version: '2' }))).toBe('store s, key a has version 2 instead of 1');
    expect(detail(decided('update', { resourceVersion: '8' }))).toContain('resourceVersion 8');
    expect(detail(decided('update', { keys: [] }))).toBe('the content would be different');
    expect(detail(decided('update'), 'other')).toContain('contains no change');
    expect(
      guardOf(planOf(target({ action: 'unchanged' }))).refusal('db', id, decided('update')),
    ).toMatchObject({
      code: 'PLAN_OUTDATED',
      subject: 'apps/db',
    });
  });

  it('allows a merge into a Secret into which another mapping of the plan has just merged', () => {
    expect(guard.refusal('db', id, decided('merge', { resourceVersion: '8' }))).toBeUndefined();
  });

  it('allows only planned removals, of the Secret as it was', () => {
    const proposal = (resourceVersion: string, mapping = 'db') =>
      ({ mapping, live: { id, resourceVersion }, keys: [], held: false }) as unknown as Parameters<
        typeof guard.allows
      >[0];
    const removal = guardOf(planOf(target({ action: 'delete' })));
    expect(removal.allows(proposal('7'))).toBe(true);
    expect(removal.allows(proposal('8'))).toBe(false);
    expect(removal.allows(proposal('7', 'other'))).toBe(false);
  });
});
