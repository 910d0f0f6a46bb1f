import { describe, expect, it } from 'vitest';
import type { Hint, Origin } from '../../src/events/hint.ts';
import { namesOf } from '../../src/providers/aws-secrets-manager/keys.ts';
import type { DesiredTarget } from '../../src/reconcile/targets.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { Hints, QUIET_MS } from '../../src/service/events/hints.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createFakeResync, START, wanted } from './sample.ts';

const EU: Origin = { kind: 'sqs', name: 'eu' };
const CI: Origin = { kind: 'webhook', name: 'ci' };
const hint = (key: string, ...more: readonly string[]): Hint => ({ store: 'vault', keys: [key, ...more] });
const source = (key: string) => ({ store: 'vault', key, optional: false });
const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db/main-AbC123';

function open(targets: readonly DesiredTarget[], { names = namesOf, logger = silentLogger } = {}) {
  const time = createManualTime(START);
  const states = createTargetStates(undefined, time);
  const triggers = createFakeResync();
  const state = { snapshot: createConfigSnapshot([], targets, () => false) };
  const hints = new Hints({
    snapshot: () => state.snapshot,
    states,
    resync: triggers,
    namesOf: (_, key) => names(key),
    clock: time,
    wake: time.wake,
    logger,
  });
  const { take, intakeOf } = hints;
  return { take, intakeOf, time, triggers, state, [Symbol.dispose]: () => hints[Symbol.dispose]() };
}

describe('a hint', () => {
  it('a hint queues every target that uses the key of the hint, under one request id', () => {
    const desired = [
      wanted({ name: 'a', data: { X: source('k') } }),
      wanted({ name: 'b', data: { X: { ...source('k'), property: 'p', version: '3' } } }),
      wanted({ name: 'c', data: {}, dataFrom: [source('k')] }),
      wanted({ name: 'd', data: { X: source('other') } }),
      wanted({ name: 'e', data: { X: { ...source('k'), store: 'elsewhere' } } }),
    ];
    using hints = open(desired);
    expect(hints.take([hint('k')], EU)).toEqual({ targets: 3, unknown: 0 });
    expect(hints.triggers.list.map(({ target }) => target)).toEqual(['apps/a', 'apps/b', 'apps/c']);
    const requests = new Set(hints.triggers.list.map(({ requestId }) => requestId));
    expect(requests.size).toBe(1);
    expect([...requests].map(hints.intakeOf)).toEqual(['eu']);
  });

  it('a waiting hint is queued immediately when the process ends, because other processes share the queue', () => {
    const { triggers, ...hints } = open([wanted({ data: { X: source('k') } })]);
    hints.take([hint('k')], CI);
    expect(hints.take([hint('k')], EU)).toEqual({ targets: 1, unknown: 0 });
    expect(triggers.list).toHaveLength(1);
    hints[Symbol.dispose]();
    expect(triggers.list.map(({ target }) => target)).toEqual(['apps/app', 'apps/app']);
  });

  it('a hint with several keys causes only one job for each target', () => {
    using hints = open([wanted({ data: { X: source('k'), Y: source('l') } })]);
    expect(hints.take([hint('k'), hint('l')], EU)).toEqual({ targets: 1, unknown: 0 });
  });

  it.each([
    [ARN, 'db/main'],
    [ARN, ARN],
    [ARN, ARN.slice(0, -7)],
    ['db/main', ARN],
    [ARN.slice(0, -7), 'db/main'],
  ])('a hint that names %s reaches a mapping that names its source %s', (reportedKey, key) => {
    using hints = open([wanted({ data: { X: source(key) } })]);
    expect(hints.take([hint(reportedKey)], EU).targets).toBe(1);
  });

  it('a hint reaches a search only if its key matches the search', () => {
    const search = (name: string, find: { path: string; name?: string }, more: { isFlat?: true } = {}) =>
      wanted({ name, data: {}, dataFrom: [{ store: 'vault', find: { tags: {}, ...find }, ...more }] });
    using hints = open([
      search('below', { path: 'features/' }),
      search('named', { path: 'features', name: '^flag-' }),
      search('all', { path: '' }),
      search('begins', { path: 'features/f' }, { isFlat: true }),
      search('folder', { path: 'feat' }),
      search('else', { path: 'features/deep' }),
      search('not', { path: 'features', name: '^x' }),
    ]);
    hints.take([hint('features/flag-a')], EU);
    expect([...hints.triggers.taken()].sort()).toEqual([
      'apps/all',
      'apps/begins',
      'apps/below',
      'apps/named',
    ]);
  });

  it('a hint queues nothing and is logged at most once a minute if no mapping uses its key', () => {
    const lines: unknown[] = [];
    const logger: Logger = { ...silentLogger, debug: (_, fields) => void lines.push(fields) };
    using hints = open([wanted({ data: { X: source('k') } })], { logger });
    for (let n = 0; n < 1_000; n += 1)
      expect(hints.take([hint(`no-${n}`)], EU)).toEqual({ targets: 0, unknown: 1 });
    expect(hints.triggers.list).toEqual([]);
    expect(hints.time.waiting).toEqual([]);
    expect(lines).toEqual([{ name: 'eu', count: 1 }]);
    hints.time.set(START + 60_000);
    hints.take([hint('no')], EU);
    expect(lines).toEqual([
      { name: 'eu', count: 1 },
      { name: 'eu', count: 1_000 },
    ]);
  });

  it.each(['', 'x'.repeat(5_000), '\u0000', '__proto__', '../k'])(
    'a hint is counted as unknown if its key is %j',
    (key) => {
      using hints = open([wanted({ data: { X: source('k') } })]);
      expect(hints.take([hint(key)], EU)).toEqual({ targets: 0, unknown: 1 });
    },
  );

  it('a hint keeps the request id under which it was received', () => {
    using hints = open([wanted({ data: { X: source('k') } })]);
    hints.take([hint('k')], CI, 'r-1');
    expect(hints.triggers.list.map(({ requestId }) => requestId)).toEqual(['r-1']);
    expect([hints.intakeOf('r-1'), hints.intakeOf('r-2')]).toEqual(['ci', undefined]);
  });

  it('a hint applies to the current configuration', () => {
    using hints = open([wanted({ data: { X: source('k') } })]);
    hints.state.snapshot = createConfigSnapshot([], [wanted({ data: { X: source('l') } })], () => false);
    expect([hints.take([hint('k')], EU), hints.take([hint('l')], EU)].map(({ targets }) => targets)).toEqual([
      0, 1,
    ]);
  });
});

describe('a flood of hints about one key', () => {
  it('many hints about one key cause one immediate check of the key, and only few more checks', async () => {
    using hints = open([wanted({ data: { X: source('k') } })]);
    for (let ms = 0; ms < 5_000; ms += 1) {
      hints.take([hint('k')], EU);
      if (ms % 50 === 49) await hints.time.advance(50);
    }
    await hints.time.advance(10_000);
    expect(hints.triggers.taken()).toHaveLength(1 + 5_000 / QUIET_MS);
    expect(hints.time.waiting).toEqual([]);
  });

  it('many hints about one key do not delay hints about another key', () => {
    using hints = open([
      wanted({ name: 'a', data: { X: source('k') } }),
      wanted({ name: 'b', data: { X: source('l') } }),
    ]);
    hints.take([hint('k')], EU);
    hints.take([hint('k')], EU);
    hints.take([hint('l')], EU);
    expect(hints.triggers.taken()).toEqual(['apps/a', 'apps/b']);
  });

  it('hints of one event source within the quiet time share one request id', async () => {
    const desired = ['k', 'l', 'm'].map((key) => wanted({ name: key, data: { X: source(key) } }));
    using hints = open(desired);
    const all = ['k', 'l', 'm'].map((key) => hint(key));
    hints.take(all, EU);
    hints.take(all.slice(0, 2), EU);
    hints.take(all.slice(2), CI);
    expect(hints.triggers.taken()).toHaveLength(3);
    await hints.time.advance(QUIET_MS);
    const requests = hints.triggers.list.map(({ requestId }) => hints.intakeOf(requestId));
    expect(requests).toEqual(['eu', 'eu', 'ci']);
    expect(new Set(hints.triggers.list.map(({ requestId }) => requestId)).size).toBe(2);
  });

  it('jobs for very many targets are added no faster than the queue completes them', async () => {
    const many = Array.from({ length: 10_000 }, (_, n) =>
      wanted({ name: `m${n}`, data: { X: source('k') }, namespace: `n${n % 100}` }),
    );
    using hints = open([...many, wanted({ name: 'single', data: { X: source('l') } })]);
    expect(hints.take([hint('k')], EU).targets).toBe(10_000);
    for (let ms = 0; ms < 20_000; ms += 100) {
      hints.take([hint('k')], EU);
      // Another key is not delayed.
      hints.take([hint('l')], EU);
      await hints.time.advance(100);
    }
    const looks = Map.groupBy(hints.triggers.list, ({ target }) => target);
    expect(looks.get('n0/m0')?.length).toBe(5);
    expect(looks.get('apps/single')?.length).toBeGreaterThanOrEqual(20_000 / QUIET_MS);
    await hints.time.advance(10_000);
    expect(hints.time.waiting).toEqual([]);
  });

  it('hints still take effect after the clock is set back', () => {
    using hints = open([wanted({ data: { X: source('k') } })]);
    hints.take([hint('k')], EU);
    hints.time.set(START - 3_600_000);
    hints.take([hint('k')], EU);
    expect(hints.triggers.taken()).toHaveLength(2);
  });

  it('hints have no effect after the service has ended', async () => {
    const hints = open([wanted({ data: { X: source('k') } })]);
    hints.take([hint('k')], EU);
    hints.take([hint('k')], EU);
    hints[Symbol.dispose]();
    // The waiting hint is queued immediately. Hints after the end are ignored.
    expect(hints.triggers.list).toHaveLength(2);
    hints.take([hint('k')], EU);
    await hints.time.advance(5_000);
    expect(hints.time.waiting).toEqual([]);
    expect(hints.triggers.list).toHaveLength(2);
  });
});
