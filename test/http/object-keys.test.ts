import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { MappingStatus, Service } from '../../src/service/service.ts';
import { temporaryFolder } from '../audit/folder.ts';
import { bare, entry, fingerprint } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { startTestServer, target } from './harness.ts';

// Every JavaScript object inherits members with these names. Code that uses a name as a key of an object may find an
// inherited member, or lose the value.

const KEYS = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
const PERSON = '__proto__';
const SOURCE = { store: 'constructor', key: '__proto__' };
const TARGET = { mapping: 'constructor', namespace: 'constructor', secret: 'constructor' };

const values = (first: number) => Object.fromEntries(KEYS.map((name, n) => [name, fingerprint(first + n)]));
const written = (version: string, first: number, change: 'added' | 'changed') =>
  (['intent', 'outcome'] as const).map((phase) =>
    entry({
      ...TARGET,
      phase,
      actor: { kind: 'operator', name: PERSON },
      requestId: `request-${version}`,
      action: change === 'added' ? 'create' : 'update',
      sources: [{ ...SOURCE, version }],
      keys: { added: [], changed: [], removed: [], [change]: KEYS },
      values: values(first),
    }),
  );
const read = (version: string) =>
  bare({ action: 'read', ...SOURCE, sources: [{ ...SOURCE, version }], after: fingerprint(90) });

const MAPPINGS: readonly MappingStatus[] = [
  {
    ...{ mapping: TARGET.mapping, refreshSeconds: 60, sources: [SOURCE], searches: [] },
    targets: [target(TARGET)],
  },
];
const SERVICE: Partial<Service> = {
  mappings: () => MAPPINGS,
  mapping: (name) => MAPPINGS.find(({ mapping }) => mapping === name),
};

async function openAudit(kind: string, stack: AsyncDisposableStack): Promise<AuditStore> {
  if (kind === 'memory') return createMemoryAudit({ clock: systemClock });
  const path = join(stack.use(await temporaryFolder()).path, 'audit.db');
  return stack.use(await openSqliteAudit({ path, instance: 'test', replica: 'a', clock: systemClock }));
}

describe.each(['memory', 'sqlite'])('names that every object inherits, with the audit in %s', (kind) => {
  /** Opens the API over a Secret with such keys, which was created and then updated. */
  async function openApi() {
    await using stack = new AsyncDisposableStack();
    const audit = await openAudit(kind, stack);
    await audit.append([read('1'), ...written('1', 1, 'added'), read('2'), ...written('2', 11, 'changed')]);
    await audit.append([
      bare({ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED', ...TARGET, note: 'toString' }),
    ]);
    const { get } = stack.use(await startTestServer({ audit, service: SERVICE }));
    const owned = stack.move();
    return {
      get: async (url: string) => (await get(`/api/v1/${url}`)).json,
      status: async (url: string) => (await get(`/api/v1/${url}`)).status,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }
  const updated = {
    ...TARGET,
    actor: { kind: 'operator', name: PERSON },
    keys: KEYS.map((name, n) => ({
      ...{ name, change: 'changed' },
      ...{ before: fingerprint(1 + n), after: fingerprint(11 + n) },
    })),
    sources: [{ ...SOURCE, version: '2', previousVersion: '1' }],
  };

  it('a change has all such keys, with their fingerprints before and after', async () => {
    await using api = await openApi();
    expect(await api.get('changes')).toMatchObject({
      changes: [{ action: 'refuse' }, updated, { action: 'create' }],
    });
    expect(await api.get('changes/6')).toMatchObject({ ...updated, record: { values: values(11) } });
    expect(await api.get('changes?mapping=toString')).toEqual({ changes: [] });
  });

  it('a timeline and the reach find such names, and find nothing for a name without records', async () => {
    await using api = await openApi();
    expect(await api.get('timeline?namespace=constructor&secret=constructor')).toMatchObject({
      changes: [{ action: 'refuse' }, updated, { action: 'create' }],
      now: { content: { keys: KEYS.map((name, n) => ({ name, fingerprint: fingerprint(11 + n) })) } },
    });
    expect(await api.get('timeline?mapping=constructor')).toMatchObject({ now: { mapping: MAPPINGS[0] } });
    expect(await api.get('timeline?mapping=toString')).toEqual({ changes: [], now: {} });
    expect(await api.get('timeline?store=constructor&key=__proto__')).toMatchObject({
      now: { source: { ...SOURCE, version: '2' } },
    });
    expect(await api.get('timeline?actor=__proto__')).toMatchObject({
      changes: [updated, { action: 'create' }],
    });
    expect(await api.get('timeline?actor=toString')).toMatchObject({ changes: [] });
    expect(await api.get('reach?store=constructor&key=__proto__')).toMatchObject({
      ...{ version: '2', now: [{ ...TARGET, versions: ['2'] }], held: [], others: [] },
    });
    expect(await api.get('reach?store=toString&key=constructor')).toMatchObject({
      ...{ now: [], held: [], others: [] },
    });
  });

  it('the review queue, the search and the pictures contain such names', async () => {
    await using api = await openApi();
    expect(await api.get('review')).toMatchObject({ causes: [{ kind: 'refusal', code: 'NOT_OWNED' }] });
    const { results } = await api.get('search?q=proto');
    expect(results).toEqual(
      expect.arrayContaining([
        { kind: 'key', name: SOURCE.key, store: SOURCE.store },
        { kind: 'actor', name: PERSON },
      ]),
    );
    expect(await api.get('picture')).toMatchObject({
      ages: [{ store: SOURCE.store }],
      states: { synced: 1 },
    });
    expect(await api.get('sources')).toMatchObject({ sources: [{ ...SOURCE, version: '2' }] });
    expect(await api.get('graph')).toMatchObject({
      nodes: [
        { id: 'mapping:constructor', state: 'synced' },
        { id: 'store:constructor', state: 'unknown' },
        { id: 'secret:constructor/constructor', state: 'synced' },
      ],
    });
    expect(await api.get('graph?mapping=toString')).toEqual({ nodes: [], edges: [], more: 0 });
    const { refusals } = await api.get('series');
    expect((refusals as number[]).reduce((sum, one) => sum + one, 0)).toBe(1);
  });

  it('rejects parameters with such names', async () => {
    await using api = await openApi();
    for (const name of KEYS) {
      expect(await api.status(`changes?${name}=1`)).toBe(400);
      expect(await api.status(`mappings/${name}`)).toBe(name === 'constructor' ? 200 : 404);
    }
  });
});
