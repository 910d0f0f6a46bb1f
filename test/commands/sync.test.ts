import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { gate, type Watch } from '../fakes/faulty.ts';
import { APPS_DB, openWorld, recordingLogger } from '../reconcile/world.ts';

describe('an aborted sync', () => {
  const many = Array.from(
    { length: 6 },
    (_, n) => `
  - name: m${n}
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token } }`,
  ).join('');

  it('an aborted sync finishes and records the running write, and starts no other write', async () => {
    const world = await openWorld({ mappings: many, more: 'engine: { kind: memory, concurrency: 1 }' });
    const write = gate('cluster.create');
    const stop = new AbortController();
    const running = world.sync(write.watch, { signal: stop.signal });
    await write.arrived;
    stop.abort();
    expect(world.story().at(-1)).toBe('create intent m0 ok');
    write.open();
    const report = await running;
    expect(report).toMatchObject({ ok: false, interrupted: true, summary: { created: 1 } });
    expect(world.changes).toHaveLength(1);
    expect(world.story().slice(-2)).toEqual(['create outcome m0 ok', 'sweep failed']);
    expect(await world.sync()).toMatchObject({ ok: true, summary: { created: 5, unchanged: 1 } });
  });

  it('an aborted sync counts as complete if its last target is already done', async () => {
    const world = await openWorld({ mappings: many, more: 'engine: { kind: memory, concurrency: 8 }' });
    const stop = new AbortController();
    const report = await world.sync(undefined, {
      signal: stop.signal,
      onOutcome: (_, done, total) => done === total && stop.abort(),
    });
    expect(report).toMatchObject({ ok: true, interrupted: false, summary: { created: 6 } });
  });

  it.each([
    ['reads', 'store.read', '{ store: vault, key: db }'],
    ['searches', 'store.find', '{ store: vault, find: {} }'],
  ])('an aborted sync ends while it %s a hanging store, and records no failure', async (_, call, from) => {
    const world = await openWorld({
      mappings: `
  - name: a
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token } }
  - name: b
    target: { namespace: apps }
    dataFrom: [ ${from} ]`,
      more: 'engine: { kind: memory, concurrency: 1 }',
    });
    const stop = new AbortController();
    const hanging = Promise.withResolvers<void>();
    const watch: Watch = ({ call: made, phase, args }) => {
      if (made !== call || phase !== 'before' || JSON.stringify(args).includes('token')) return;
      hanging.resolve();
      return new Promise(() => {});
    };
    const { wake } = world.clock;
    const running = world.sync(watch, { signal: stop.signal, wake });
    await hanging.promise;
    stop.abort();
    await world.clock.advance(2_000);
    expect(await running).toMatchObject({ ok: false, interrupted: true, summary: { created: 1, failed: 0 } });
    expect(world.story().filter((line) => line.includes(' b '))).toEqual([]);
    expect(world.story().at(-1)).toBe('sweep failed');
  });

  it('an aborted sync reports no held changes, because it has not decided on any change', async () => {
    const world = await openWorld({
      mappings: `
  - name: a
    target: { namespace: apps, immutable: true, recreate: true }
    data: { TOKEN: { store: vault, key: token } }
  - name: b
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token } }`,
      more: 'engine: { kind: memory, concurrency: 1 }',
    });
    await world.sync();
    world.store.put('token', 'second', '2');
    const stop = new AbortController();
    const report = await world.sync(undefined, { signal: stop.signal, onOutcome: () => stop.abort() });
    expect(report).toMatchObject({ interrupted: true, targets: [], held: [], summary: { held: 0 } });
    expect(world.story().filter((line) => line.startsWith('hold'))).toEqual([]);
  });
});

describe('log of a sync', () => {
  it('a sync logs changes as info, transient failures as warnings, permanent failures as errors, and the rest as debug', async () => {
    const logger = recordingLogger();
    const world = await openWorld({ logger });
    const levels = () =>
      logger.lines
        .splice(0)
        .map(({ level, fields }) => `${level} ${fields.secret}`)
        .toSorted();
    await world.sync();
    expect(levels()).toEqual(['info db', 'info token']);
    await world.sync();
    expect(levels()).toEqual(['debug db', 'debug token']);
    world.store.fail('token', new AppError('STORE_UNAVAILABLE'));
    await world.sync();
    expect(levels()).toEqual(['debug db', 'warn token']);
    world.store.put('token', 'tok');
    world.cluster.put(APPS_DB, { data: {} });
    await world.sync();
    expect(levels()).toEqual(['debug token', 'error db']);
  });
});
