import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { AwaitingReplacement } from '../../src/reconcile/presence.ts';
import { createAwaitedReplacements } from '../../src/service/deletion/awaited-replacements.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { openWorld, recordingLogger } from '../reconcile/world.ts';
import { waitUntil } from '../wait-until.ts';
import { failed, START, targetState } from './sample.ts';
import { serve } from './serving.ts';

const OLD = { namespace: 'apps', secret: 'old' };
const NEW = { namespace: 'apps', secret: 'new' };

describe('awaited replacements', () => {
  const waiting: readonly AwaitingReplacement[] = [{ mapping: 'app', target: OLD, until: NEW, by: 'app' }];

  function open() {
    const states = createTargetStates({ send: () => {}, subscribe: () => () => {} }, { now: () => START });
    const logger = recordingLogger();
    const come: number[] = [];
    const awaited = createAwaitedReplacements({ states, logger, onArrival: () => void come.push(1) });
    return { states, logger, come, awaited };
  }

  it('a replacement is logged once in each period in which it is awaited', () => {
    const { logger, awaited } = open();
    expect(awaited.note(waiting, START)).toBe(true);
    awaited.note(waiting, START);
    const line = { level: 'warn', fields: { mapping: 'app', ...OLD, name: 'apps/new' } };
    expect(logger.lines).toEqual([line]);
    expect(awaited.note([], START)).toBe(false);
    awaited.note(waiting, START);
    expect(logger.lines).toEqual([line, line]);
  });

  it('an orphan check is requested only when an awaited target is written', () => {
    const { states, come, awaited } = open();
    awaited.note(waiting, START);
    states.note(targetState({ target: NEW, ...failed('STORE_UNAVAILABLE'), alive: false }));
    states.note(targetState({ target: { ...NEW, secret: 'another' } }));
    states.note(targetState({ target: NEW, mapping: 'another' }));
    expect(come).toHaveLength(0);
    states.note(targetState({ target: NEW, kind: 'created' }));
    expect(come).toHaveLength(1);
    awaited.note([], START);
    states.note(targetState({ target: NEW, kind: 'updated' }));
    expect(come).toHaveLength(1);
  });

  it('an orphan check is requested for a target written during the deletion step, but not for a target written before the step', () => {
    const { states, come, awaited } = open();
    states.note(targetState({ target: NEW, kind: 'created', endedAt: START }));
    awaited.note(waiting, START + 1);
    expect(come).toHaveLength(0);
    awaited.note(waiting, START);
    expect(come).toHaveLength(1);
  });
});

/** Creates a world in which the target of one mapping was renamed from `old` to `new`. */
async function renamed(mode: 'own' | 'merge' = 'own') {
  const logger = recordingLogger();
  const mappings = ['a', 'b', 'c'].map(
    (name) => `
  - { name: ${name}, target: { namespace: apps, secret: ${name === 'a' ? `old, mode: ${mode}` : name} }, onMappingRemoved: delete, data: { K: { store: vault, key: ${name} } } }`,
  );
  const before = mappings.join('');
  const world = await openWorld({ mappings: before, logger });
  const { cluster, clock, store } = world;
  for (const name of ['a', 'b', 'c']) store.put(name, name);
  if (mode === 'merge') cluster.put(OLD, { data: {} });
  expect((await world.sync()).ok).toBe(true);
  await world.configure(before.replace('secret: old', 'secret: new'));
  const exists = (id: typeof OLD): boolean => cluster.raw(id) !== undefined;
  return {
    ...{ cluster, clock, store, logger, exists },
    async serve() {
      const { controller, service, ...serving } = await serve(world);
      return {
        ...serving,
        ask: () => service.sync('a', { name: 'ann' }, 'asked'),
        known: () => controller.states.get('a', NEW),
      };
    },
  };
}

describe('a renamed target in the service', () => {
  const saysOf = ({ lines }: ReturnType<typeof recordingLogger>) =>
    lines.filter(({ fields }) => fields.name === 'apps/new');

  it('the service keeps the old target while a Secret of another owner has the new name', async () => {
    const { cluster, clock, logger, exists, serve } = await renamed();
    cluster.put(NEW, { type: 'Opaque', data: {} });
    await using service = await serve();
    for (let second = 0; second < 5; second += 1) await clock.advance(1_000);
    await waitUntil(() => expect(service.known()?.error?.code).toBe('NOT_OWNED'));
    expect(exists(OLD)).toBe(true);
    expect(saysOf(logger)).toHaveLength(1);
    cluster.forget(NEW);
    const answer = service.ask();
    for (let second = 0; second < 5; second += 1) await clock.advance(1_000);
    await answer;
    await waitUntil(() => expect([exists(NEW), exists(OLD)]).toEqual([true, false]));
    expect(cluster.writes.slice(-2).map(({ kind, id }) => `${kind} ${id.secret}`)).toEqual([
      'create new',
      'remove old',
    ]);
  });

  it('the service keeps the old target while the store of the new target fails', async () => {
    const { store, clock, exists, serve } = await renamed();
    store.fail('a', new AppError('STORE_UNAVAILABLE'));
    await using service = await serve();
    for (let second = 0; second < 5; second += 1) await clock.advance(1_000);
    await waitUntil(() => expect(service.known()?.error?.code).toBe('STORE_UNAVAILABLE'));
    expect(exists(OLD)).toBe(true);
    store.put('a', 'a');
    for (let second = 0; second < 30; second += 1) await clock.advance(1_000);
    await waitUntil(() => expect([exists(NEW), exists(OLD)]).toEqual([true, false]));
  });

  it('the service keeps the merged keys in the old Secret while the new Secret does not exist', async () => {
    const { cluster, clock, serve } = await renamed('merge');
    await using service = await serve();
    for (let second = 0; second < 5; second += 1) await clock.advance(1_000);
    await waitUntil(() => expect(service.known()?.error?.code).toBe('SECRET_MISSING'));
    expect(cluster.raw(OLD)?.data).toEqual({ K: 'YQ==' });
    cluster.put(NEW, { data: {} });
    for (let second = 0; second < 30; second += 1) await clock.advance(1_000);
    await waitUntil(() =>
      expect([cluster.raw(NEW)?.data, cluster.raw(OLD)?.data]).toEqual([{ K: 'YQ==' }, {}]),
    );
  });
});
