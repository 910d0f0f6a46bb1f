import { expect, it } from 'vitest';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import { ERRORS } from '../../src/core/error-codes.ts';
import { eventOf } from '../../src/service/events-of-records.ts';
import { bare } from '../audit/sample.ts';

const record = (part: Partial<Entry>) =>
  ({ ...bare({ mapping: 'shop.db', namespace: 'shop', secret: 'db', ...part }) }) as AuditRecord;
const keys = { added: ['A', 'B'], changed: ['C'], removed: [] };

it.each([
  [{ action: 'create', phase: 'outcome', outcome: 'ok', keys }, 'Normal Created', 'added: A, B; changed: C'],
  [{ action: 'update', phase: 'outcome', outcome: 'ok' }, 'Normal Updated', 'the Secret was updated'],
  [
    { action: 'restart', phase: 'outcome', outcome: 'ok', note: 'Deployment/web' },
    'Normal Restarted',
    '(Deployment/web)',
  ],
  [{ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED' }, 'Warning Refused', ERRORS.NOT_OWNED.remedy],
  [{ action: 'hold', outcome: 'held', code: 'HELD' }, 'Warning Held', ERRORS.HELD.remedy],
  [{ action: 'refuse', outcome: 'failed', code: 'STORE_UNAVAILABLE' }, 'Warning Stale', 'STORE_UNAVAILABLE'],
  [{ action: 'sweep', outcome: 'ok', note: 'in sync again' }, 'Normal Recovered', 'in sync again'],
] as const)('%j gives %s', (part, kind, text) => {
  const event = eventOf(record(part as Partial<Entry>), true);
  expect(`${event?.type} ${event?.reason}`).toBe(kind);
  expect(event?.message).toContain(text);
});

it.each([
  { action: 'create', phase: 'intent', outcome: 'ok' },
  { action: 'read', outcome: 'failed', code: 'STORE_UNAVAILABLE' },
  { action: 'command', outcome: 'ok' },
] as const)('%j gives no event', (part) => {
  expect(eventOf(record(part as Partial<Entry>), true)).toBeUndefined();
});

it('a Secret that does not exist has failed, and is not stale', () => {
  const part = { action: 'refuse', outcome: 'failed', code: 'STORE_UNAVAILABLE' } as const;
  expect(eventOf(record(part), false)?.reason).toBe('Failed');
});

it('a long list of keys is shortened', () => {
  const added = Array.from({ length: 200 }, (_, index) => `KEY_${index}`);
  const part = { action: 'create', phase: 'outcome', outcome: 'ok' } as const;
  const event = eventOf(record({ ...part, keys: { added, changed: [], removed: [] } }), true);
  expect(event?.message).toContain('KEY_4 and 195 more');
});
