import fc from 'fast-check';
import type { Entry } from '../../src/audit/entry.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../src/core/words.ts';
import { fingerprint } from './sample.ts';

/** There are only a few names, so that filters find matches. Some contain unusual characters. */
export const NAMES = [
  'a',
  'a-b',
  'A',
  '',
  'ü',
  '秘密',
  'x\0y',
  "'",
  'payments/db',
  '__proto__',
  '🔑',
] as const;
export const name = fc.constantFrom(...NAMES);
export const someFingerprint = fc.integer({ min: 0, max: 3 }).map(fingerprint);
export const CODES = ['NOT_OWNED', 'THROTTLED'] as const;
const source = fc.record(
  { store: name, key: name, property: name, version: name },
  { requiredKeys: ['store', 'key', 'version'] },
);
const actor = fc.record(
  { kind: fc.constantFrom('cli', 'schedule', 'operator'), name, address: name },
  { requiredKeys: ['kind'] },
);

/** Any entry that the service could record. */
export const anyEntry: fc.Arbitrary<Entry> = fc.record(
  {
    actor,
    requestId: name,
    phase: fc.constantFrom('intent', 'outcome'),
    // Contains `review` twice, so that reviews are frequent. A review changes which searches find the reviewed record.
    action: fc.constantFrom(...ACTIONS, 'review'),
    mapping: name,
    namespace: name,
    secret: name,
    store: name,
    key: name,
    outcome: fc.constantFrom(...OUTCOMES),
    code: fc.constantFrom(...CODES),
    sources: fc.array(source, { maxLength: 3 }),
    keys: fc.record({
      added: fc.array(name, { maxLength: 2 }),
      changed: fc.array(name, { maxLength: 2 }),
      removed: fc.constant([]),
    }),
    values: fc
      .array(fc.tuple(fc.constantFrom('a', 'DB_PASSWORD', 'ca.crt', '__proto__'), someFingerprint), {
        maxLength: 3,
      })
      .map((pairs) => Object.fromEntries(pairs)),
    before: someFingerprint,
    after: someFingerprint,
    counts: fc.dictionary(fc.constantFrom('read', 'unchanged'), fc.nat()),
    review: fc.record({
      sequence: fc.integer({ min: 1, max: 9 }),
      state: fc.constantFrom(...REVIEW_STATES),
    }),
    note: fc.string({ unit: 'binary', maxLength: 20 }),
    durationMs: fc.nat(),
    attempt: fc.integer({ min: 1, max: 3 }),
    resourceVersion: fc.nat().map(String),
  },
  { requiredKeys: ['actor', 'requestId', 'action', 'outcome', 'sources', 'keys', 'durationMs', 'attempt'] },
);
