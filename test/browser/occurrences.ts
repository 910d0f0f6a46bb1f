import { type Actor, type Entry, NO_KEYS } from '../../src/audit/entry.ts';
import { fingerprintOf, type Occurrence, printOf, restartOf, sourceOf, targetsOf } from './history.ts';
import { entry } from './scene.ts';

// What an auditor looks for in the history. It happens after the last rotation.

const at = (day: number, hour: number, minute = 0) => Date.UTC(2026, 10, day, hour, minute);

export const ANN: Actor = { kind: 'operator', name: 'ann', address: '10.20.0.31' };
export const RAVI: Actor = { kind: 'operator', name: 'ravi', address: '10.20.0.32' };

/** The mapping whose Secret is deleted after a request and an approval. */
export const DELETED = 3;
/** One Secret of this mapping returns to `OLD_VERSION`. */
export const ROLLED_BACK = 7;
export const OLD_VERSION = 3;
/** The mapping whose target changes because of a change of the configuration. */
export const RECONFIGURED = 11;
export const REVISION = '4f1c2ab';
/** The mapping whose rotation restarts a workload. */
export const RESTARTED = 15;
/** The mapping whose value another Secret holds too. */
export const SHARED = 19;
export const OUTAGE_CODE = 'STORE_UNAVAILABLE';
export const OUTAGE_MAPPINGS = [1, 4, 10, 13] as const;
export const STRANGER = 'mallory@example.com';

function pair(part: Partial<Entry>): readonly Entry[] {
  return [
    entry({ ...part, phase: 'intent', durationMs: 0, resourceVersion: '900000' }),
    entry({ ...part, phase: 'outcome', durationMs: 140, resourceVersion: '900001' }),
  ];
}

const deletion: readonly Occurrence[] = [
  {
    at: at(24, 9),
    entries: () =>
      targetsOf(DELETED).map((target) =>
        entry({
          ...target,
          ...{ action: 'hold', outcome: 'held', code: 'HELD', requestId: 'deletion-hold' },
          keys: { ...NO_KEYS, removed: ['DB_PASSWORD', 'DB_USER'] },
        }),
      ),
  },
  {
    at: at(24, 9, 20),
    entries: ({ sequence }) => {
      const [target] = targetsOf(DELETED);
      const until = new Date(at(25, 9, 20)).toISOString();
      const requested = { action: 'release', argument: 'hold-1', until } as const;
      return [
        entry({ ...target, action: 'request', actor: ANN, requestId: 'deletion-request', requested }),
        entry({
          ...target,
          action: 'approve',
          actor: RAVI,
          requestId: 'deletion-approve',
          approval: sequence,
        }),
        entry({
          ...target,
          action: 'release',
          actor: RAVI,
          requestId: 'deletion-release',
          approval: sequence,
        }),
        ...pair({
          ...{ ...target, action: 'delete', actor: RAVI, requestId: 'deletion-release', approval: sequence },
          keys: { ...NO_KEYS, removed: ['DB_PASSWORD', 'DB_USER'] },
        }),
      ];
    },
  },
];

const rollback: Occurrence = {
  at: at(24, 10),
  entries: () => {
    const target = targetsOf(ROLLED_BACK).at(-1);
    const common = {
      ...target,
      actor: ANN,
      requestId: 'rollback',
      sources: [sourceOf(ROLLED_BACK, OLD_VERSION)],
    };
    const after = printOf(ROLLED_BACK, OLD_VERSION);
    return [
      entry({ actor: ANN, action: 'command', requestId: 'rollback', note: `rollback app-${ROLLED_BACK}` }),
      entry({ ...common, action: 'rollback' }),
      ...pair({
        ...{ ...common, action: 'update', after, values: { DB_PASSWORD: after } },
        keys: { ...NO_KEYS, changed: ['DB_PASSWORD'] },
      }),
    ];
  },
};

const configuration: Occurrence = {
  at: at(24, 11),
  entries: ({ versionOf }) => {
    const [target] = targetsOf(RECONFIGURED);
    return [
      entry({
        ...{ actor: { kind: 'startup' }, action: 'configure', requestId: 'configuration' },
        changes: [{ path: `mappings.app-${RECONFIGURED}.data.SMTP_HOST`, after: 'mail/smtp' }],
        configHash: 'ab'.repeat(32),
        revision: REVISION,
      }),
      ...pair({
        ...{ ...target, action: 'update', actor: { kind: 'startup' }, requestId: 'configuration' },
        ...{ sources: [sourceOf(RECONFIGURED, versionOf(RECONFIGURED))], after: fingerprintOf('smtp') },
        values: { SMTP_HOST: fingerprintOf('smtp') },
        keys: { ...NO_KEYS, added: ['SMTP_HOST'] },
      }),
    ];
  },
};

const restart: Occurrence = {
  at: at(24, 12),
  entries: () => {
    const [target] = targetsOf(RESTARTED);
    const after = fingerprintOf('restarted');
    return [
      ...pair({
        ...{ ...target, action: 'update', requestId: 'restart', after, values: { DB_PASSWORD: after } },
        sources: [sourceOf(RESTARTED, 900)],
        keys: { ...NO_KEYS, changed: ['DB_PASSWORD'] },
      }),
      ...restartOf(RESTARTED, 'restart', after),
    ];
  },
};

const outage: readonly Occurrence[] = [
  {
    at: at(24, 13),
    entries: () =>
      OUTAGE_MAPPINGS.flatMap((mapping) => {
        const { store, key } = sourceOf(mapping, 1);
        const [target] = targetsOf(mapping);
        const failed = { outcome: 'failed', code: OUTAGE_CODE, requestId: `outage-${mapping}` } as const;
        return [
          entry({ ...failed, action: 'read', store, key, count: 1, durationMs: 10_000 }),
          entry({ ...failed, ...target, action: 'giveUp', sources: [sourceOf(mapping, 1)] }),
        ];
      }),
  },
];

const sharedValue: Occurrence = {
  at: at(24, 14),
  entries: () => {
    const [from] = targetsOf(SHARED);
    const after = fingerprintOf('shared');
    const values = { DB_PASSWORD: after };
    const keys = { ...NO_KEYS, changed: ['DB_PASSWORD'] };
    const common = { action: 'update', requestId: 'shared', after, values, keys } as const;
    return [
      ...pair({ ...from, ...common, sources: [sourceOf(SHARED, 900)] }),
      ...pair({ ...targetsOf(SHARED + 1)[0], ...common, sources: [sourceOf(SHARED + 1, 900)] }),
    ];
  },
};

const signIns: Occurrence = {
  at: at(24, 15),
  entries: () => [
    entry({ actor: ANN, action: 'command', requestId: 'sign-in-ann', note: 'sign-in' }),
    entry({
      ...{ actor: { kind: 'operator', name: STRANGER, address: '203.0.113.9' }, action: 'command' },
      ...{ requestId: 'sign-in-stranger', outcome: 'refused', code: 'ROLE_MISSING', note: 'sign-in' },
    }),
  ],
};

/** In the order of their times. */
export const OCCURRENCES: readonly Occurrence[] = [
  ...deletion,
  rollback,
  configuration,
  restart,
  ...outage,
  sharedValue,
  signIns,
];
