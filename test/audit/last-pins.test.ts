import { expect, it } from 'vitest';
import { GENESIS } from '../../src/audit/chain.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { createLastPins } from '../../src/audit/last-pins.ts';
import { createMemoryAudit, type MemoryAudit } from '../fakes/memory-audit.ts';
import { pinsOf, RECORD_KEYS } from '../fakes/record-keys.ts';
import { entry } from './sample.ts';

const TARGET = { namespace: 'payments', secret: 'payments-db' };
const PIN: Entry = entry({ action: 'rollback', note: 'to record 1' });
const UNPIN: Entry = entry({ action: 'unpin' });

/** Returns the last pin as a new process finds it: the action, and whether it is confirmed. */
async function lastIn(audit: MemoryAudit): Promise<string | undefined> {
  const last = await pinsOf(audit, ['test']).last('payments-db', TARGET);
  return last && `${last.record.action} ${last.isConfirmed ? 'confirmed' : 'unconfirmed'}`;
}

async function logOf(entries: readonly Entry[], signed = true): Promise<MemoryAudit> {
  const audit = createMemoryAudit(signed ? { keys: RECORD_KEYS } : {});
  await audit.append([entry(), ...entries, entry()]);
  return audit;
}

it('the last rollback or unpin decides', async () => {
  expect(await lastIn(await logOf([]))).toBeUndefined();
  expect(await lastIn(await logOf([PIN]))).toBe('rollback confirmed');
  expect(await lastIn(await logOf([PIN, UNPIN, PIN]))).toBe('rollback confirmed');
  expect(await lastIn(await logOf([PIN, UNPIN]))).toBe('unpin confirmed');
});

it('a pin of a release without HMACs is not confirmed', async () => {
  expect(await lastIn(await logOf([PIN], false))).toBe('rollback unconfirmed');
  expect(await lastIn(await logOf([PIN, UNPIN], false))).toBeUndefined();
});

it('an `unpin` without HMAC does not end an authentic pin', async () => {
  const audit = await logOf([PIN]);
  const attacker = createMemoryAudit();
  await attacker.importRecords(await Array.fromAsync(audit.storedRecords(1)), GENESIS);
  await attacker.append([PIN, UNPIN]);
  expect(await lastIn(attacker)).toBe('rollback confirmed');
});

it('a process notices pins that another process records', async () => {
  const audit = await logOf([PIN]);
  const pins = pinsOf(audit, ['test']);
  expect((await pins.last('payments-db', TARGET))?.record.action).toBe('rollback');
  await audit.another('other').append([UNPIN]);
  expect((await pins.last('payments-db', TARGET))?.record.action).toBe('unpin');
});

it('a process that has read records compares the store with its checkpoints if these records are missing', async () => {
  const audit = await logOf([PIN, UNPIN]);
  const shorter = await logOf([PIN]);
  let current: MemoryAudit = audit;
  let checks = 0;
  const pins = createLastPins({
    audit: {
      head: () => current.head(),
      base: () => current.base(),
      list: (filter, page) => current.list(filter, page),
      storedRecords: (from) => current.storedRecords(from),
    },
    keys: RECORD_KEYS,
    instances: ['test'],
    checkStore: async () => {
      checks += 1;
      return undefined;
    },
  });
  await pins.last('payments-db', TARGET);
  current = shorter;
  expect((await pins.last('payments-db', TARGET))?.record.action).toBe('unpin');
  expect(checks).toBe(1);
});
