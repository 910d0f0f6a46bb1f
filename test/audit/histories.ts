import fc from 'fast-check';
import type { Action, Entry, EntryOutcome } from '../../src/audit/entry.ts';
import { bare, entry, fingerprint } from './sample.ts';

// Histories as the service records them: reads, intents, outcomes, restarts, refusals, reviews and configurations.

const NOTHING = { added: [], changed: [], removed: [] };
const TARGETS = ['a', 'b'].flatMap((namespace) =>
  ['x', 'y'].map((secret) => ({ mapping: `m-${secret}`, namespace, secret })),
);
const target = fc.constantFrom(...TARGETS);
const key = fc.constantFrom('k1', 'k2');
const version = fc.constantFrom('1', '2', '3');

const source = fc.record({ store: fc.constantFrom('s1', 's2'), key, version });
const read = source.map((one) => [
  bare({
    ...{ action: 'read', store: one.store, key: one.key, requestId: `read-${one.version}` },
    ...{ sources: [one], after: fingerprint(Number(one.version)) },
  }),
]);
const failedRead = fc
  .tuple(fc.constantFrom('s1', 's2'), key, fc.constantFrom('TIMEOUT', 'SOURCE_ABSENT'))
  .map(([store, name, code]) => [
    bare({ action: 'read', store, key: name, outcome: 'failed', code, requestId: `failing-${code}` }),
  ]);

const write = fc
  .record({
    target,
    sources: fc.array(source, { maxLength: 2 }),
    action: fc.constantFrom<Action>('create', 'update', 'delete', 'repair', 'adopt'),
    outcome: fc.constantFrom<EntryOutcome | 'none'>('ok', 'ok', 'failed', 'none'),
    restarts: fc.nat(2),
    request: fc.integer({ min: 1, max: 30 }),
    content: fc.nat(5),
  })
  .map(({ target: of, sources, action, outcome, restarts, request, content }): Entry[] => {
    const common = {
      ...entry({ ...of, action, requestId: `request-${request}`, sources, after: fingerprint(content) }),
      ...{ keys: { ...NOTHING, changed: ['A'] }, values: { A: fingerprint(content) } },
    };
    const intent = { ...common, phase: 'intent', outcome: 'ok' } as const;
    if (outcome === 'none') return [intent];
    const done = { ...common, phase: 'outcome', outcome } as const;
    if (outcome !== 'ok') return [intent, { ...done, code: 'CONFLICT' }];
    const restarted = { ...of, action: 'restart', phase: 'intent', requestId: common.requestId } as const;
    const rolled = Array.from({ length: restarts }, (_, index) =>
      bare({
        ...restarted,
        ...{ after: fingerprint(content), note: `Deployment/d${index}`, attempt: index + 1 },
      }),
    );
    const ended = rolled.slice(1).map((restart) => ({ ...restart, phase: 'outcome' as const }));
    return [intent, done, ...rolled, ...ended];
  });

const refusal = target.map((of) => [
  bare({ ...of, action: 'refuse', outcome: 'refused', code: 'NOT_OWNED' }),
]);
const review = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom('reviewed', 'flagged'))
  .map(([sequence, state]) => [
    bare({
      ...{ action: 'review', actor: { kind: 'operator', name: 'ann' }, requestId: 'reviewing' },
      review: { sequence, state: state === 'flagged' ? 'flagged' : 'reviewed' },
    }),
  ]);
const others = fc.constantFrom(
  [bare({ counts: { targets: 3 } })],
  [bare({ action: 'command', actor: { kind: 'operator', name: 'bob' }, note: 'sync' })],
  [bare({ action: 'configure', changes: [{ path: 'mappings.m-x.refreshMs', after: '5m' }] })],
);

/** Groups of entries. Each group is appended at once. */
export const history: fc.Arbitrary<readonly (readonly Entry[])[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: write },
    { weight: 3, arbitrary: read },
    failedRead,
    refusal,
    review,
    others,
  ),
  { minLength: 1, maxLength: 25 },
);
