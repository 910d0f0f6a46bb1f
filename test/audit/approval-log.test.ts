import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createApprovalLog, follow } from '../../src/audit/approval-log.ts';
import { append, GENESIS, type StoredRecord } from '../../src/audit/chain.ts';
import type { ApprovalRequest } from '../../src/audit/decisions.ts';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { RECORD_KEYS, recordKeys } from '../fakes/record-keys.ts';

const NOW = Date.parse('2027-01-01T00:00:00Z');
const base: Omit<Entry, 'action'> = {
  ...{ actor: { kind: 'operator', name: 'bob' }, requestId: 'r', outcome: 'ok', sources: [] },
  ...{ keys: { added: [], changed: [], removed: [] }, durationMs: 0, attempt: 1 },
};
const request: Entry = {
  ...base,
  action: 'request',
  ...{ mapping: 'db', namespace: 'apps', secret: 'db' },
  requested: { action: 'rollback', argument: '1', until: '2027-01-02T00:00:00Z' },
};
const about = (action: Entry['action'], approval = 1): Entry => ({ ...base, action, approval });

interface Written {
  readonly entry: Entry;
  readonly isForged?: boolean;
}

/** Stores records, some of them as a person with access to the database can write them. */
async function logOf(entries: readonly Written[]) {
  const stored: StoredRecord[] = [];
  let head = GENESIS;
  for (const { entry, isForged } of entries) {
    const { sign } = isForged ? recordKeys(8) : RECORD_KEYS;
    const time = new Date(NOW).toISOString();
    const appended = append(head, entry, { time, instance: 'test', replica: 'one', sign });
    head = appended.record;
    stored.push(appended.stored);
  }
  const audit = createMemoryAudit({ keys: RECORD_KEYS, clock: { now: () => NOW } });
  await audit.importRecords(stored, GENESIS);
  const log = createApprovalLog({
    ...{ audit, keys: RECORD_KEYS, instances: ['test'], now: () => NOW, maxAgeMs: () => 86_400_000 },
  });
  return { audit, log };
}

const statesOf = async (entries: readonly Written[]) =>
  (await (await logOf(entries)).log.requests()).map(({ state }) => state);

describe('the approval log', () => {
  it('the first decision counts, and an approval is used up by its action', async () => {
    const [requested, approved, rejected] = [request, about('approve'), about('reject')].map((entry) => ({
      entry,
    }));
    if (requested === undefined || approved === undefined || rejected === undefined)
      throw new Error('missing');
    expect(await statesOf([requested])).toEqual(['pending']);
    expect(await statesOf([requested, approved, rejected])).toEqual(['approved']);
    expect(await statesOf([requested, rejected, approved])).toEqual(['rejected']);
    expect(await statesOf([requested, approved, { entry: about('rollback') }])).toEqual(['done']);
    const refused = { entry: { ...about('command'), outcome: 'refused', code: 'VERSION_GONE' } as const };
    expect(await statesOf([requested, approved, refused])).toEqual(['done']);
    const failed = { entry: { ...about('adopt'), phase: 'outcome', outcome: 'failed' } as const };
    const intent = { entry: { ...about('adopt'), phase: 'intent' } as const };
    expect(await statesOf([requested, approved, intent])).toEqual(['done']);
    expect(await statesOf([requested, approved, intent, failed])).toEqual(['approved']);
  });

  it('a forged request, approval, rejection or use has no effect', async () => {
    const requested = { entry: request };
    expect(await statesOf([{ ...requested, isForged: true }])).toEqual([]);
    for (const action of ['approve', 'reject', 'rollback'] as const)
      expect(await statesOf([requested, { entry: about(action), isForged: true }])).toEqual(['pending']);
  });

  it('an approval does not count if a record after its request is missing', async () => {
    const entries = [request, about('approve'), about('rollback'), { ...base, action: 'sweep' } as const];
    const { audit, log } = await logOf(entries.map((entry) => ({ entry })));
    const { storedRecords } = audit;
    Object.assign(audit, {
      async *storedRecords(from: number) {
        for await (const stored of storedRecords(from))
          if (!stored.text.includes('"sequence":3,')) yield stored;
      },
    });
    expect(await log.requests()).toEqual([]);
  });

  it('a process that has read a rejection ignores a log whose end was cut off', async () => {
    const { audit, log } = await logOf([{ entry: request }, { entry: about('reject') }]);
    expect(await log.requests()).toMatchObject([{ state: 'rejected' }]);
    const cut = await logOf([{ entry: request }, { entry: about('approve') }]);
    Object.assign(audit, { head: cut.audit.head, storedRecords: cut.audit.storedRecords });
    expect(await log.requests()).toEqual([]);
  });

  it('whatever follows, a request is approved only after an approval that no decision precedes', () => {
    const anyRecord = fc.record({
      action: fc.constantFrom<Entry['action']>(
        'approve',
        'reject',
        'rollback',
        'adopt',
        'delete',
        'command',
        'release',
      ),
      phase: fc.constantFrom('intent', 'outcome', undefined),
      outcome: fc.constantFrom('ok', 'failed', 'refused'),
    });
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 8 }), (records) => {
        const start = { id: 'x', record: request, requested: request.requested, state: 'pending' };
        const end = records.reduce(
          (state, record) => follow(state, record as AuditRecord),
          start as unknown as ApprovalRequest,
        );
        const decisions = records.filter(
          ({ action, outcome }) => /approve|reject/.test(action) && outcome === 'ok',
        );
        if (end.state === 'approved' || end.state === 'done') expect(decisions[0]?.action).toBe('approve');
        if (end.state === 'rejected') expect(decisions[0]?.action).toBe('reject');
        if (end.state === 'pending') expect(decisions).toEqual([]);
      }),
    );
  });
});
