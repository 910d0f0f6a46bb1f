import { describe, expect, it } from 'vitest';
import type { Cluster, NamespaceHandlers, WatchHandlers, WatchScope } from '../../src/cluster/cluster.ts';
import { AppError } from '../../src/core/errors.ts';
import { formatTarget } from '../../src/core/target.ts';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { Watches, type WatchListener } from '../../src/service/watch/watches.ts';
import { createMemoryCluster } from '../fakes/memory-cluster.ts';
import { createClock, meta, settled, wanted } from './sample.ts';

const A = wanted({ name: 'a' });
const B = wanted({ name: 'b' });
const OTHER = wanted({ name: 'c', namespace: 'other' });
const THIRD = wanted({ name: 'e', namespace: 'third' });
const SELECTED = wanted({ name: 'd', target: { namespaceSelector: { matchLabels: { x: 'y' } } } });
const nameOf = ({ namespace, secret }: WatchScope) =>
  secret === undefined ? namespace : `${namespace}/${secret}`;
const UNAVAILABLE = new AppError('CLUSTER_UNAVAILABLE');

interface Opened {
  readonly scope: WatchScope;
  readonly handlers: WatchHandlers;
  isOpen: boolean;
}

/** Creates fake watches that deliver the events of a test, even after they were closed. */
function createFakeCluster() {
  const opened: Opened[] = [];
  const namespaces: { handlers: NamespaceHandlers; isOpen: boolean }[] = [];
  const cluster: Pick<Cluster, 'watch' | 'watchNamespaces'> = {
    watch(scope, handlers) {
      const entry = { scope, handlers, isOpen: true };
      opened.push(entry);
      return {
        async [Symbol.asyncDispose]() {
          entry.isOpen = false;
        },
      };
    },
    watchNamespaces(handlers) {
      const entry = { handlers, isOpen: true };
      namespaces.push(entry);
      return {
        async [Symbol.asyncDispose]() {
          entry.isOpen = false;
        },
      };
    },
  };
  const open = () => opened.filter(({ isOpen }) => isOpen);
  return { cluster, opened, namespaces, open, scopes: () => open().map(({ scope }) => scope) };
}

function reportTo(reported: string[]): WatchListener {
  return {
    changed: ({ id }) => void reported.push(`meta ${formatTarget(id)}`),
    deleted: (id) => void reported.push(`gone ${formatTarget(id)}`),
    listed: (all) => void reported.push(`listed ${all.map(nameOf).join(' ')}`),
    namespacesChanged: () => void reported.push('namespaces'),
  };
}

function open(scope: 'namespace' | 'names' = 'namespace') {
  const fake = createFakeCluster();
  const clock = createClock();
  const loops = createLoops(clock);
  const reported: string[] = [];
  const timers = new Set<() => void>();
  const trouble = new Map<string, string>();
  const watches = new Watches({
    cluster: fake.cluster,
    scope,
    loops,
    wake: (callback) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  });
  watches.start({
    listener: reportTo(reported),
    errors: {
      note: (name, error) =>
        void (error === undefined ? trouble.delete(name) : trouble.set(name, error.code)),
      forget: (name) => void trouble.delete(name),
    },
  });
  const last = (): Opened => {
    const opened = fake.opened.at(-1);
    if (opened === undefined) throw new Error('nothing is watched');
    return opened;
  };
  const context = () => {
    for (const callback of timers) {
      timers.delete(callback);
      callback();
    }
  };
  return {
    ...fake,
    clock,
    loops,
    reported,
    trouble,
    watches,
    last,
    timers,
    context,
    taken: () => reported.splice(0),
  };
}

describe('watches', () => {
  it('watches are opened for each namespace with targets, and for no other namespace', async () => {
    const { watches, scopes, opened, loops } = open();
    watches.follow([A, B, OTHER]);
    expect(scopes()).toEqual([{ namespace: 'apps' }, { namespace: 'other' }]);
    watches.follow([B, OTHER]);
    expect(opened).toHaveLength(2);
    watches.follow([OTHER]);
    expect(scopes()).toEqual([{ namespace: 'other' }]);
    expect(loops.states().map(({ name }) => name)).toEqual(['watch other']);
    await watches[Symbol.asyncDispose]();
    expect([scopes(), loops.states()]).toEqual([[], []]);
  });

  it('a separate watch is opened for each target if access is limited to names', () => {
    const { watches, scopes } = open('names');
    watches.follow([A, B]);
    watches.follow([A, B, OTHER]);
    expect(scopes()).toEqual([
      { namespace: 'apps', secret: 'a' },
      { namespace: 'apps', secret: 'b' },
      { namespace: 'other', secret: 'c' },
    ]);
  });

  it('watches report existing Secrets, and Secrets that a list or an event shows as deleted', () => {
    const { watches, last, taken } = open();
    watches.follow([A, B]);
    expect(watches.isListed(A.id)).toBe(false);
    last().handlers.listed([meta(A), meta(B)]);
    expect(watches.isListed(A.id)).toBe(true);
    expect(taken()).toEqual(['meta apps/a', 'meta apps/b', 'listed apps']);
    last().handlers.deleted(A.id);
    last().handlers.deleted(A.id);
    last().handlers.listed([]);
    expect(taken()).toEqual(['gone apps/a', 'gone apps/b', 'listed apps']);
  });

  it('watches report their first lists together, so that the targets of one mapping run consecutively', () => {
    const { watches, opened, taken, timers } = open();
    watches.follow([A, OTHER]);
    opened[1]?.handlers.listed([]);
    expect([taken(), watches.isListed(OTHER.id)]).toEqual([[], true]);
    opened[0]?.handlers.listed([]);
    expect([taken(), timers.size]).toEqual([['listed other apps'], 0]);
    opened[1]?.handlers.listed([]);
    expect(taken()).toEqual(['listed other']);
  });

  it('watches wait briefly for a late list, but not for a list that fails or is not needed', () => {
    const { watches, opened, taken, timers, context } = open();
    watches.follow([A, OTHER]);
    opened[0]?.handlers.listed([]);
    expect([taken(), timers.size]).toEqual([[], 1]);
    context();
    expect(taken()).toEqual(['listed apps']);
    opened[0]?.handlers.listed([]);
    opened[1]?.handlers.progress(UNAVAILABLE);
    expect([taken(), timers.size]).toEqual([['listed apps'], 0]);
    opened[1]?.handlers.listed([]);
    expect(taken()).toEqual(['listed other']);

    watches.follow([A, OTHER, THIRD]);
    opened[0]?.handlers.listed([]);
    expect(taken()).toEqual([]);
    watches.follow([A, OTHER]);
    expect(taken()).toEqual(['listed apps']);
  });

  it('watches report no list after they are closed', async () => {
    const { watches, opened, taken, timers } = open();
    watches.follow([A, OTHER]);
    opened[0]?.handlers.listed([]);
    await watches[Symbol.asyncDispose]();
    expect([taken(), timers.size]).toEqual([[], 0]);
  });

  it('a watch restarts if an earlier list contained the Secret of a new target, because the metadata of this Secret was not kept', () => {
    const { watches, last, taken, open: opened } = open();
    watches.follow([A]);
    last().handlers.listed([meta(A), meta(B)]);
    expect(taken()).toEqual(['meta apps/a', 'listed apps']);
    watches.follow([A, B]);
    expect(opened()).toHaveLength(1);
    expect(watches.isListed(B.id)).toBe(false);
    // A deletion during the restart is reported.
    last().handlers.listed([meta(B)]);
    expect(taken()).toEqual(['gone apps/a', 'meta apps/b', 'listed apps']);
  });

  it('a watch continues if the Secret of a new target does not exist, and reports the Secret once it exists', () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A]);
    last().handlers.listed([meta(A)]);
    taken();
    watches.follow([A, B]);
    expect(opened).toHaveLength(1);
    expect(watches.isListed(B.id)).toBe(true);
    last().handlers.changed(meta(B));
    last().handlers.deleted(B.id);
    expect(taken()).toEqual(['meta apps/b', 'gone apps/b']);
  });

  it('a watch continues if the Secret of a new target existed and was deleted', () => {
    const { watches, last, opened } = open();
    watches.follow([A]);
    last().handlers.listed([meta(A), meta(B)]);
    last().handlers.deleted(B.id);
    watches.follow([A, B]);
    expect(opened).toHaveLength(1);
    // A list that no longer contains the Secret has the same effect as a deletion event.
    watches.follow([A]);
    last().handlers.changed(meta(B));
    last().handlers.listed([meta(A)]);
    watches.follow([A, B]);
    expect(opened).toHaveLength(1);
  });

  it('a watch continues if targets are added before its first list, because this list contains the targets', () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A]);
    watches.follow([A, B]);
    expect([opened.length, watches.isListed(B.id)]).toEqual([1, false]);
    last().handlers.listed([meta(A), meta(B)]);
    expect(taken()).toEqual(['meta apps/a', 'meta apps/b', 'listed apps']);
  });

  it('a watch restarts if a removed target is added again', () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A, B]);
    last().handlers.listed([meta(A), meta(B)]);
    watches.follow([A]);
    taken();
    last().handlers.changed(meta(B));
    expect(taken()).toEqual([]);
    watches.follow([A, B]);
    expect(opened).toHaveLength(2);
    last().handlers.listed([meta(A), meta(B)]);
    expect(taken()).toEqual(['meta apps/a', 'meta apps/b', 'listed apps']);
  });

  it('a watch reports errors and progress until no target needs the watch', () => {
    const { watches, last, trouble, clock, loops } = open();
    watches.follow([A]);
    const { handlers } = last();
    clock.time += 1_000;
    handlers.progress(UNAVAILABLE);
    expect([...trouble]).toEqual([['apps', 'CLUSTER_UNAVAILABLE']]);
    expect(loops.states()).toMatchObject([{ name: 'watch apps', ageMs: 0 }]);
    watches.follow([]);
    expect(trouble.size).toBe(0);
    // An error that arrives while the watch closes is ignored.
    handlers.progress(UNAVAILABLE);
    expect(trouble.size).toBe(0);
  });

  it('a failed watch stays in error until its replacement works', () => {
    const { watches, last, trouble, opened } = open();
    watches.follow([A]);
    const { handlers } = last();
    handlers.listed([meta(A), meta(B)]);
    handlers.progress(UNAVAILABLE);
    watches.follow([A, B]);
    expect([opened.length, [...trouble]]).toEqual([2, [['apps', 'CLUSTER_UNAVAILABLE']]]);
    last().handlers.progress();
    expect(trouble.size).toBe(0);
  });

  it('watches report nothing and open nothing after they are closed', async () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A]);
    const { handlers } = last();
    handlers.listed([meta(A)]);
    await watches[Symbol.asyncDispose]();
    taken();
    handlers.changed(meta(A));
    handlers.deleted(A.id);
    handlers.listed([]);
    watches.follow([A, OTHER, SELECTED]);
    expect([taken(), opened.length]).toEqual([[], 1]);
  });

  it('watches follow the namespaces while a mapping uses a selector', () => {
    const { watches, namespaces, taken, trouble } = open();
    watches.follow([A]);
    expect(namespaces).toEqual([]);
    watches.follow([A, SELECTED]);
    namespaces[0]?.handlers.changed();
    namespaces[0]?.handlers.progress(UNAVAILABLE);
    expect([taken(), trouble.size]).toEqual([['namespaces'], 1]);
    watches.follow([A]);
    namespaces[0]?.handlers.progress(UNAVAILABLE);
    namespaces[0]?.handlers.changed();
    expect([taken(), trouble.size, namespaces.map(({ isOpen }) => isOpen)]).toEqual([[], 0, [false]]);
  });

  it('watches skip targets of a selector that could not be resolved', () => {
    const { watches, scopes, namespaces } = open();
    const unknown = { ...SELECTED, id: { namespace: '*', secret: 'd' }, error: UNAVAILABLE };
    watches.follow([unknown]);
    expect([scopes(), namespaces.length]).toEqual([[], 1]);
  });

  it('a watch counts as stalled if it receives no events for too long', () => {
    const { watches, clock, loops } = open();
    watches.follow([A]);
    clock.time += (loops.states()[0]?.deadlineMs ?? 0) + 1;
    expect(loops.states()).toMatchObject([{ name: 'watch apps', stalled: true }]);
  });

  it('watches report the events of an in-memory cluster', async () => {
    const cluster = createMemoryCluster();
    const reported: string[] = [];
    await using watches = new Watches({
      cluster,
      scope: 'namespace',
      loops: createLoops(createClock()),
    });
    watches.start({
      listener: reportTo(reported),
      errors: { note: () => undefined, forget: () => undefined },
    });
    cluster.put(A.id, { type: 'Opaque' });
    watches.follow([A, B]);
    await settled();
    cluster.put(B.id, { type: 'Opaque' });
    cluster.put({ namespace: 'apps', secret: 'foreign' }, { type: 'Opaque' });
    cluster.forget(A.id);
    await settled();
    expect(reported).toEqual(['meta apps/a', 'listed apps', 'meta apps/b', 'gone apps/a']);
  });
});
