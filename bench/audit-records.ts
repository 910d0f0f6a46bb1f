import type { Action, Entry } from '../src/audit/entry.ts';
import { NO_KEYS } from '../src/audit/entry.ts';

/** Returns a deterministic generator of numbers between 0 and 1 (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(next: () => number, from: readonly T[]): T {
  const picked = from[Math.floor(next() * from.length)];
  if (picked === undefined) throw new RangeError('the list is empty');
  return picked;
}

const SHARES: readonly (readonly [Action, number])[] = [
  ['read', 0.3],
  ['update', 0.35],
  ['sweep', 0.12],
  ['review', 0.1],
  ['repair', 0.03],
  ['refuse', 0.03],
  ['restart', 0.03],
  ['create', 0.015],
  ['command', 0.01],
  ['delete', 0.005],
  ['adopt', 0.004],
  ['hold', 0.002],
  ['giveUp', 0.002],
  ['configure', 0.001],
  ['release', 0.0005],
  ['export', 0.0001],
];

export const STORES = ['team-vault', 'aws-prod', 'azure-prod', 'local', 'retired'];
export const CODES = [
  'NOT_OWNED',
  'CONFLICT',
  'THROTTLED',
  'STORE_UNAVAILABLE',
  'SOURCE_ABSENT',
  'HELD',
  'TOO_LARGE',
];
/** Fingerprints of common values, such as a flag or a port. Many Secrets share these values. */
export const COMMON_VALUES = ['1', '2', '3'].map((digit) => `0badcafe:${digit.repeat(64)}`);
const KINDS = ['schedule', 'schedule', 'schedule', 'schedule', 'event', 'event', 'drift'] as const;

function actionOf(share: number): Action {
  let sum = 0;
  for (const [action, part] of SHARES) {
    sum += part;
    if (share < sum) return action;
  }
  return 'read';
}

const hex = (next: () => number): string =>
  Array.from({ length: 8 }, () =>
    Math.floor(next() * 4_294_967_296)
      .toString(16)
      .padStart(8, '0'),
  ).join('');

/**
 * Returns a record of a busy installation. The installation has 300 mappings in 25 namespaces, 20 people and 5 stores.
 * Only the oldest records use the store `retired`.
 * @param sequence The sequence number of the new record.
 */
export function benchEntry(next: () => number, sequence: number, total: number): Entry {
  const action = actionOf(next());
  const number = Math.floor(next() ** 2 * 300);
  const target = {
    mapping: `mapping-${number}`,
    namespace: `team-${number % 25}`,
    secret: `secret-${number}`,
  };
  const store = sequence < total / 20 && next() < 0.3 ? 'retired' : (STORES[number % 4] ?? 'local');
  const key = `apps/${number}/${Math.floor(next() * 8)}`;
  const version = String(Math.floor(sequence / 1000));
  const failed = next() < 0.02;
  const person = {
    kind: 'operator',
    name: `person-${Math.floor(next() * 20)}`,
    address: '10.0.0.1',
  } as const;
  const base = {
    actor: next() < 0.04 ? person : { kind: pick(next, KINDS) },
    requestId: `request-${Math.floor(sequence / 3)}`,
    action,
    outcome: failed ? 'failed' : 'ok',
    ...(failed ? { code: pick(next, CODES) } : {}),
    sources: [],
    keys: NO_KEYS,
    durationMs: Math.floor(next() * 200),
    attempt: 1,
  } as const;
  const after = `0badcafe:${hex(next)}`;
  switch (action) {
    case 'read':
      return { ...base, store, key, sources: [{ store, key, version }], after };
    case 'sweep':
      return { ...base, counts: { targets: 300, unchanged: 290 } };
    case 'review': {
      const about = Math.max(1, Math.floor(next() * (sequence - 1)));
      const state = next() < 0.1 ? 'flagged' : 'reviewed';
      return { ...base, actor: person, review: { sequence: about, state }, note: 'reviewed' };
    }
    case 'command':
    case 'configure':
    case 'export':
      return { ...base, actor: person, note: 'sync' };
    case 'refuse':
      return { ...base, ...target, outcome: 'refused', code: 'NOT_OWNED' };
    case 'hold':
      return { ...base, ...target, outcome: 'held', code: 'HELD' };
    default: {
      const sources = [0, 1].map((n) => ({
        store,
        key: `apps/${number}/${n}`,
        property: 'password',
        version,
      }));
      const keys = { added: [], changed: ['DB_PASSWORD', 'API_KEY'], removed: [] };
      const phase = sequence % 2 === 0 ? 'intent' : 'outcome';
      const values = {
        API_KEY: `0badcafe:${hex(next)}`,
        DB_PASSWORD: `0badcafe:${hex(next)}`,
        FLAG: pick(next, COMMON_VALUES),
      };
      return { ...base, ...target, phase, sources, keys, values, after, before: `0badcafe:${hex(next)}` };
    }
  }
}
