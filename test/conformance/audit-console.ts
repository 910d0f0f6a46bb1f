import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { listChanges } from '../../src/audit/query/list-changes.ts';
import { presentContent } from '../../src/audit/query/present.ts';
import { reachOf } from '../../src/audit/query/reach.ts';
import { WRITE_ACTIONS } from '../../src/audit/record-index.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { bare, entry, fingerprint } from '../audit/sample.ts';
import { type AuditHarness, HARNESS_START } from './audit-store.ts';

const HOUR_MS = 3_600_000;
const hour = Math.floor(HARNESS_START / HOUR_MS);
const target = { namespace: 'payments', secret: 'payments-db' };
const source = { store: 'team-vault', key: 'payments/db' };

function read(version: string, more: Partial<Entry> = {}): Entry {
  return bare({
    action: 'read',
    ...source,
    sources: [{ ...source, version }],
    after: fingerprint(9),
    ...more,
  });
}

function written(version: string, more: Partial<Entry> = {}): Entry {
  return entry({ phase: 'outcome', sources: [{ ...source, version }], ...more });
}

/** What the review console asks of an audit store: records that belong together, numbers, names and notes. */
export function describeAuditConsole(name: string, openHarness: () => Promise<AuditHarness>): void {
  async function filled(): Promise<{ harness: AuditHarness; store: AuditStore }> {
    const harness = await openHarness();
    const store = await harness.open('a');
    await store.append([read('1'), written('1', { phase: 'intent' }), written('1')]);
    await store.append([bare({ action: 'configure' }), bare({ action: 'configure', outcome: 'failed' })]);
    await store.append([read('2'), written('2', { phase: 'intent', requestId: 'second' })]);
    await store.append([
      written('2', { requestId: 'second', namespace: 'shop', outcome: 'failed', code: 'CONFLICT' }),
      entry({ action: 'delete', namespace: 'shop', secret: 'Old_100%', phase: 'outcome' }),
      bare({ action: 'refuse', outcome: 'refused', ...target }),
      bare({ action: 'hold', outcome: 'held', ...target }),
      bare({
        ...{ action: 'review', actor: { kind: 'operator', name: 'Bob' }, note: 'Not announced: 100%' },
        review: { sequence: 3, state: 'flagged', followUp: '2026-12-24' },
      }),
    ]);
    return { harness, store };
  }

  describe(`${name}: records that belong together`, () => {
    it('finds open intents, the neighbors of a target, and the uses of a source version', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const { index } = store;
      expect([...(await index.openIntents([1, 2, 3, 7]))]).toEqual([7]);
      expect([...(await index.openIntents([]))]).toEqual([]);
      const neighbors = async (side: 'before' | 'after', sequence: number, limit = 9) =>
        (await index.targetNeighbors(target, { side, sequence, actions: WRITE_ACTIONS, limit })).map(
          (record) => record.sequence,
        );
      expect(await neighbors('before', 7)).toEqual([3, 2]);
      expect(await neighbors('before', 7, 1)).toEqual([3]);
      expect(await neighbors('after', 2)).toEqual([3, 7]);
      const use = (
        side: 'before' | 'after',
        sequence: number,
        version: string,
        actions = ['read'] as const,
      ) => index.nearestUse({ ...source, version }, { side, sequence, actions });
      expect(await use('before', 9, '1')).toEqual({ sequence: 1, action: 'read' });
      expect(await use('after', 1, '2')).toEqual({ sequence: 6, action: 'read' });
      expect(await use('after', 6, '2')).toBeUndefined();
      expect((await index.configurations(9, 5)).map(({ sequence }) => sequence)).toEqual([4]);
      expect(await index.configurations(4, 5)).toEqual([]);
    });

    it('gives the same answers to concurrent searches', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const versions = Array.from({ length: 60 }, (_, n) => String((n % 3) + 1));
      const uses = await Promise.all(
        versions.map((version) =>
          store.index.nearestUse({ ...source, version }, { side: 'before', sequence: 9, actions: ['read'] }),
        ),
      );
      const expected: Readonly<Record<string, number>> = { 1: 1, 2: 6 };
      expect(uses.map((use) => use?.sequence)).toEqual(versions.map((version) => expected[version]));
    });

    it('lists changes, the present content, and which Secrets a version has reached', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const { changes } = await listChanges(store, { filter: target }, { limit: 9 });
      expect(changes.map(({ sequence, records, outcome }) => [sequence, records, outcome])).toEqual([
        [11, [11], 'held'],
        [10, [10], 'refused'],
        [7, [6, 7], 'pending'],
        [3, [1, 2, 3], 'ok'],
      ]);
      expect(changes.at(-1)?.review).toMatchObject({ state: 'flagged', by: 'Bob', followUp: '2026-12-24' });
      expect(await presentContent(store, target)).toMatchObject({
        sequence: 3,
        keys: [{ name: 'DB_PASSWORD' }],
      });
      expect(await reachOf(store, { ...source, version: '1' })).toMatchObject({
        ...{ now: [target], held: [], others: [], more: false },
      });
      const attention = await store.list({ attention: true }, { limit: 9 });
      expect(attention.map(({ sequence }) => sequence)).toEqual([11, 10, 9, 8, 5]);
    });
  });

  describe(`${name}: numbers, names and notes`, () => {
    it('counts changes, failures, refusals and holds, also of some namespaces only', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const range = { from: hour - 5, to: hour + 1, step: 3 };
      const numbers = { changes: 2, failures: 2, refusals: 1, held: 1 };
      expect(await store.summaries.counts(range)).toEqual([{ hour: hour - 2, ...numbers }]);
      expect(await store.summaries.counts(range, ['pay*'])).toEqual([
        { hour: hour - 2, ...numbers, changes: 1, failures: 0 },
      ]);
      expect(await store.summaries.counts({ from: hour - 9, to: hour, step: 1 })).toEqual([]);
    });

    it('finds names and notes in any letter case, and takes no character for a pattern', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const { summaries } = store;
      expect(await summaries.findNames('BOB', 5)).toEqual({ targets: [], people: ['Bob'], sources: [] });
      expect((await summaries.findNames('PAYMENTS', 5)).sources).toEqual([source]);
      expect((await summaries.findNames('payments', 5, ['nowhere'])).targets).toEqual([]);
      expect(await summaries.findNotes('not ANNOUNCED', 5)).toEqual([
        { sequence: 12, about: 3, note: 'Not announced: 100%' },
      ]);
      for (const text of ['%%', '__', '!', 'n_t']) expect(await summaries.findNotes(text, 5)).toEqual([]);
      expect(await summaries.findNotes('100%', 5)).toHaveLength(1);
    });

    it('knows the last version of a source, and when it was read first', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const [before] = await store.summaries.sourceVersions();
      expect(before).toMatchObject({ ...source, version: '2' });
      await store.append([read('2'), read('2')]);
      expect(await store.summaries.sourceVersions()).toEqual([before]);
      await store.append([read('3', { outcome: 'failed', code: 'TIMEOUT' })]);
      expect(await store.summaries.sourceVersions()).toEqual([before]);
      await store.append([read('3')]);
      expect(await store.summaries.sourceVersions()).toMatchObject([{ ...source, version: '3' }]);
    });

    it('forgets the notes of pruned records, and keeps the versions of sources', async () => {
      const { harness, store } = await filled();
      await using _ = harness;
      await using __ = store;
      const head = await store.head();
      await store.append([entry()]);
      await store.prune(head);
      expect(await store.summaries.findNotes('announced', 5)).toEqual([]);
      expect(await store.summaries.sourceVersions()).toMatchObject([{ version: '2' }]);
    });
  });
}
