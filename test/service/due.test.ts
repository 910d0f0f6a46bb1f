import { describe, expect, it } from 'vitest';
import { refId } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { due } from '../../src/service/due.ts';
import type { DueInput } from '../../src/service/due-input.ts';
import type { Finding } from '../../src/service/sweep/findings.ts';
import { SourceTable } from '../../src/service/sweep/source-table.ts';
import { fingerprints, source } from '../sync/sample.ts';
import { failed, meta, START, targetState, wanted } from './sample.ts';

const APP = wanted({ data: { A: source({ key: 'a' }) } });
const IN_SYNC = meta(APP, { A: ['a', '1'] });
const ID = APP.id;
const MINUTE = 60_000;

/** Returns the inputs of a target that was in sync after a run at `START`. The time is a minute later. */
function known(part: Partial<DueInput> = {}): DueInput {
  return {
    desired: APP,
    inputs: { target: ID, meta: IN_SYNC, metaAt: START },
    run: targetState({ resourceVersion: '1' }),
    freshAt: START,
    change: undefined,
    sources: new SourceTable(),
    isMissing: true,
    isInSync: () => true,
    storeUpAt: () => Number.NEGATIVE_INFINITY,
    watchUpAt: () => Number.NEGATIVE_INFINITY,
    now: START + MINUTE,
    wallNow: START + MINUTE,
    isSetBack: false,
    ...part,
  };
}

/** Returns the checks of sweeps at these times. Each of them has found the version. */
function foundVersion(version: string, ...times: readonly number[]): SourceTable {
  return noted({ kind: 'version', version, by: 'list' }, times);
}

function noted(finding: Finding, times: readonly number[]): SourceTable {
  const table = new SourceTable();
  const id = refId({ store: 'vault', ref: { key: 'a' } });
  for (const at of times) table.note(id, finding, false, { steady: at, wall: at });
  return table;
}

const AT = START + 1_000;
const edited = { ...IN_SYNC, resourceVersion: '2', foreign: true };
const down = { resourceVersion: '1', ...failed('STORE_UNAVAILABLE') };

/**
 * One case for each rule: a description, the expected reason, and the input of `due`. In each case, something has
 * happened one second after the last run.
 */
const RULES: readonly (readonly [rule: string, reason: string, input: DueInput])[] = [
  ['its mapping has changed', 'event', known({ change: { at: AT, isNew: false } })],
  ['it was added', 'first', known({ change: { at: AT, isNew: true } })],
  [
    'somebody has edited its Secret',
    'drift',
    known({ inputs: { target: ID, meta: edited, metaAt: AT }, isInSync: () => false }),
  ],
  ['its Secret was deleted', 'drift', known({ inputs: { target: ID, metaAt: AT } })],
  [
    'an event has reported a change',
    'event',
    known({ inputs: { ...known().inputs, hint: { at: AT, requestId: 'r' } } }),
  ],
  [
    'it has failed and its store works again',
    'event',
    known({ run: targetState(down), storeUpAt: () => AT }),
  ],
  [
    'it has failed and its watch works again',
    'event',
    known({
      run: targetState({ resourceVersion: '1', ...failed('CLUSTER_UNAVAILABLE') }),
      watchUpAt: () => AT,
    }),
  ],
  [
    'it was pinned',
    'event',
    known({ inputs: { ...known().inputs, pin: { at: AT, mapping: APP.mapping.name, to: 7 } } }),
  ],
  [
    'its failure on record is not resolved',
    'sweep',
    known({ inputs: { ...known().inputs, unresolvedAt: AT } }),
  ],
  ['a source has a new version', 'sweep', known({ sources: foundVersion('2', AT) })],
  ['a sweep has reached it', 'sweep', known({ inputs: { ...known().inputs, fullRunAt: AT } })],
  [
    'its retry was lost',
    'sweep',
    known({ run: targetState({ ...down, retryAt: AT }), now: AT + MINUTE, wallNow: AT + MINUTE }),
  ],
];

/** A target that was denied a source. Before and after that, sweeps have found the version that its Secret has. */
function denied(by: 'list' | 'read'): DueInput {
  const times = [START - 1_000, AT];
  const content = fingerprints.value(SecretValue.fromText('a'));
  const read = noted({ kind: 'version', version: '1', by: 'read', content }, times);
  const run = {
    resourceVersion: '1',
    ...failed('ACCESS_DENIED'),
    person: true,
    retryAt: START + 10 * MINUTE,
  };
  return known({ run: targetState(run), sources: by === 'read' ? read : foundVersion('1', ...times) });
}

describe('a target', () => {
  it.each(RULES)('a target needs a run because %s', (_, reason, input) => {
    expect(due(input)).toMatchObject({ reason });
  });

  it.each(RULES)('a target needs no second run if %s and a run has followed', (_, __, input) => {
    const later = { freshAt: AT + 1, run: input.run && { ...input.run, retryAt: undefined } };
    expect(due({ ...input, ...later })).toBeUndefined();
  });

  it.each(RULES)('a target is queued once if %s, and again after a minute without a run', (_, __, input) => {
    const lastRequest = { at: AT, wallAt: AT, requestId: 'r', wallAtByOthers: undefined, isAccepted: true };
    const waiting = {
      ...input,
      inputs: { ...input.inputs, lastRequest: { ...lastRequest, at: input.now - 1 } },
    };
    expect(due(waiting)).toBeUndefined();
    const later = input.now + MINUTE;
    expect(due({ ...waiting, now: later, wallNow: later })).toBeDefined();
    const refused = { ...lastRequest, isAccepted: false };
    expect(due({ ...input, inputs: { ...input.inputs, lastRequest: refused } })).toBeDefined();
  });

  it('a target needs no run if nothing is newer than its last run', () => {
    expect(due(known())).toBeUndefined();
    expect(due(known({ sources: foundVersion('1', AT) }))).toBeUndefined();
  });

  it('a target without a run needs its first run once the watch has listed the target, unless its Secret is in sync', () => {
    const first = known({ run: undefined, freshAt: Number.NEGATIVE_INFINITY });
    expect(due(first)).toBeUndefined();
    const missing = { ...first, inputs: { target: ID, metaAt: START } };
    expect(due(missing)).toMatchObject({ reason: 'first' });
    expect(due({ ...missing, isMissing: false })).toBeUndefined();
  });

  it('a target that was denied a source runs again once a sweep has read the source, and not if it was only listed', () => {
    expect(due(denied('read'))).toMatchObject({ reason: 'sweep' });
    expect(due({ ...denied('read'), freshAt: AT })).toBeUndefined();
    expect(due(denied('list'))).toBeUndefined();
  });

  it('a target that is due for several reasons gets the most urgent reason', () => {
    const input = known({ sources: foundVersion('2', AT), change: { at: AT, isNew: false } });
    expect(due(input)).toMatchObject({ reason: 'event' });
  });
});
