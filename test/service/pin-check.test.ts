import { describe, expect, it } from 'vitest';
import { looksInSync } from '../../src/reconcile/in-sync.ts';
import { pinNote } from '../../src/reconcile/pins.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { PinCheck } from '../../src/service/pin-check.ts';
import { targetStatus } from '../../src/service/status.ts';
import { formatTargetState, parseTargetState } from '../../src/service/target-state.ts';
import { PIN } from '../../src/sync/ownership-metadata.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { source } from '../sync/sample.ts';
import { failed, meta, openResync, STORES, targetState, wanted } from './sample.ts';

const A = wanted({ name: 'a', data: { A: source({ key: 'a' }) } });
const MERGED = wanted({ name: 'm', data: { A: source({ key: 'a' }) }, target: { mode: 'merge' } });

/** Returns the metadata of a target after our write, optionally with a pin annotation. */
function pinnedMeta(desiredTarget: DesiredTarget, pin?: string) {
  const plain = meta(desiredTarget, { A: ['a', '1'] });
  return pin === undefined ? plain : { ...plain, annotations: { ...plain.annotations, [PIN]: pin } };
}

function open(all: readonly DesiredTarget[] = [A]) {
  const parts = openResync(all);
  const audit = createMemoryAudit({ instance: 'prod', clock: parts.clock });
  const pins = new PinCheck({ ...parts, audit });
  const look = async () => void parts.resync.check(await pins.find());
  const say = async (
    desiredTarget: DesiredTarget,
    action: 'rollback' | 'unpin',
    outcome: 'ok' | 'refused' = 'ok',
  ) => {
    await audit.append([
      {
        ...{ actor: { kind: 'cli' }, requestId: 'r', durationMs: 0, attempt: 1 },
        ...{ action, outcome, mapping: desiredTarget.mapping.name, ...desiredTarget.id },
        keys: { added: [], changed: [], removed: [] },
        sources: action === 'unpin' ? [] : [{ store: 'vault', key: 'a', version: '1' }],
        ...(action === 'unpin' ? {} : { note: pinNote({ to: 7, stores: new Map([['vault', 'hash']]) }) }),
      },
    ]);
  };
  return { ...parts, audit, say, look };
}

const note = (
  { states, clock }: ReturnType<typeof open>,
  desiredTarget: DesiredTarget,
  part: Parameters<typeof targetState>[0] = {},
) =>
  states.note(
    targetState({
      mapping: desiredTarget.mapping.name,
      target: desiredTarget.id,
      endedAt: clock.time,
      ...part,
    }),
  );

describe('pins set by another process', () => {
  it('a pin set by another process causes a run of a target whose annotation does not show the pin', async () => {
    const it_ = open();
    note(it_, A);
    it_.states.setMeta(pinnedMeta(A));
    await it_.say(A, 'rollback');
    await it_.look();
    expect(it_.taken()).toEqual(['event apps/a']);
  });

  it.each([
    ['a pin that shows', 'rollback', '7', []],
    ['a pin to another record', 'rollback', '5', ['event apps/a']],
    ['an unpin that shows', 'unpin', undefined, []],
    ['an unpin that does not show', 'unpin', '7', ['event apps/a']],
  ] as const)(
    'a pin or unpin by another process causes a run only if the annotation differs: %s',
    async (_, action, shown, looks) => {
      const it_ = open();
      it_.states.setMeta(pinnedMeta(A, shown));
      note(it_, A, { resourceVersion: '1' });
      await it_.say(A, action);
      await it_.look();
      expect(it_.taken()).toEqual(looks);
    },
  );

  it('the latest record that was not refused determines the pin', async () => {
    const it_ = open();
    it_.states.setMeta(pinnedMeta(A));
    await it_.say(A, 'rollback');
    await it_.say(A, 'unpin');
    await it_.say(A, 'rollback', 'refused');
    await it_.look();
    expect(it_.taken()).toEqual([]);
  });

  it('a periodic check finds pins set by another process, and reads each record once', async () => {
    const it_ = open();
    it_.states.setMeta(pinnedMeta(A));
    await it_.say(A, 'rollback');
    let lists = 0;
    const list = it_.audit.list;
    it_.audit.list = (...args) => {
      lists += 1;
      return list(...args);
    };
    await it_.look();
    await it_.look();
    expect([lists, it_.taken()]).toEqual([2, ['event apps/a']]);
    it_.clock.time += 31_000;
    await it_.look();
    expect([lists, it_.taken()]).toEqual([4, []]);
    await it_.say(A, 'rollback');
    it_.clock.time += 31_000;
    await it_.look();
    expect(it_.taken()).toEqual(['event apps/a']);
  });

  it('the records of pins are read page by page', async () => {
    const it_ = open();
    it_.states.setMeta(pinnedMeta(A));
    for (let times = 0; times < 401; times += 1) await it_.say(A, 'rollback');
    await it_.say(A, 'unpin');
    await it_.look();
    expect(it_.taken()).toEqual([]);
  });

  it('pins are ignored for targets that are not desired', async () => {
    const it_ = open();
    await it_.say(wanted({ name: 'gone' }), 'rollback');
    await it_.look();
    expect(it_.taken()).toEqual([]);
  });

  it('pins of a merged Secret are compared with the last run of the target', async () => {
    const it_ = open([MERGED]);
    it_.states.setMeta(pinnedMeta(MERGED, '7'));
    note(it_, MERGED);
    await it_.say(MERGED, 'rollback');
    await it_.look();
    expect(it_.taken()).toEqual(['event apps/m']);
    note(it_, MERGED, { pinned: 7 });
    await it_.say(MERGED, 'rollback');
    it_.clock.time += 31_000;
    await it_.look();
    expect(it_.taken()).toEqual([]);
  });
});

describe('pin annotation', () => {
  const judged = (shown: string | undefined, pin?: { readonly to: number | undefined }) =>
    looksInSync(pinnedMeta(A, shown), { mapping: A.mapping, instance: 'prod', stores: STORES, pin });

  it.each([
    ['none', undefined, { to: undefined }, true],
    ['ours', '7', { to: 7 }, true],
    ['removed', undefined, { to: 7 }, false],
    ['of another record', '8', { to: 7 }, false],
    ['invented', '7', { to: undefined }, false],
    ['invalid', 'x', { to: undefined }, false],
    ['the same number in another notation', '07', { to: 7 }, false],
    ['absent before the first run', undefined, undefined, true],
    ['present before the first run, which must check it', '7', undefined, false],
  ] as const)('the pin annotation is compared with the expected pin: %s', (_, shown, pin, expected) => {
    expect(judged(shown, pin)).toBe(expected);
  });

  it('an edit of the pin annotation queues the target', () => {
    const it_ = open();
    note(it_, A, { pinned: 7, resourceVersion: '1' });
    it_.resync.changed(pinnedMeta(A, '7'));
    expect(it_.taken()).toEqual([]);
    it_.resync.changed({ ...pinnedMeta(A), resourceVersion: '2' });
    expect(it_.taken()).toEqual(['drift apps/a']);
  });

  it('the pin annotation appears in the status of a new process, and causes one run', () => {
    const it_ = open();
    it_.resync.changed(pinnedMeta(A, '7'));
    expect(it_.taken()).toEqual(['first apps/a']);
    expect(targetStatus(A, it_.snapshot(), it_.states, it_.clock.time)).toMatchObject({
      state: 'pinned',
      pinned: 7,
    });
  });
});

describe('the status of a pinned target', () => {
  const statusOf = (it_: ReturnType<typeof open>, target: DesiredTarget = A) =>
    targetStatus(target, it_.snapshot(), it_.states, it_.clock.time);

  it('the status of a pinned target is `pinned`, and names the record of the pin', () => {
    const it_ = open();
    note(it_, A, { pinned: 7 });
    expect(statusOf(it_)).toMatchObject({ state: 'pinned', pinned: 7 });
  });

  it.each([
    ['VERSION_GONE', 'failed'],
    ['STORE_UNAVAILABLE', 'stale'],
  ] as const)(
    'the status of a pinned target shows the failure of the last run (%s), and still names the record of the pin',
    (code, state) => {
      const it_ = open();
      note(it_, A, { ...failed(code), pinned: 7, person: code === 'VERSION_GONE' });
      expect(statusOf(it_)).toMatchObject({ state, code, pinned: 7 });
    },
  );

  it('the status ignores a pin annotation that the owner of a merged Secret has set', () => {
    const it_ = open([MERGED]);
    it_.states.setMeta({ ...pinnedMeta(A, '7'), id: MERGED.id });
    expect(statusOf(it_, MERGED)).not.toHaveProperty('pinned');
  });

  it('the pin of a target is shared with other replicas, which ignore invalid values', () => {
    const sent = targetState({ pinned: 7 });
    expect(parseTargetState(formatTargetState(sent, () => undefined))).toMatchObject({ pinned: 7 });
    for (const pinned of ['7', -1, null, {}])
      expect(parseTargetState(JSON.stringify({ ...sent, pinned }))).toEqual(targetState());
  });
});
