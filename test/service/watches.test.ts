import { describe, expect, it } from 'vitest';
import type { Cluster, NamespaceHandlers, WatchHandlers, WatchScope } from '../../src/cluster/cluster.ts';
import { AppError } from '../../src/core/errors.ts';
import { formatTarget } from '../../src/core/target.ts';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { createWatches } from '../../src/service/watch/watches.ts';
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

/** Watches that tell what the test has them tell, also when nobody wants to hear it any more. */
function createFakeCluster() {
  const opened: Opened[] = [];
  const namespaces: { handlers: NamespaceHandlers; isOpen: boolean }[] = [];
  const cluster: Pick<Cluster, 'watch' | 'watchNamespaces'> = {
    watch(scope, handlers) {
      const it = { scope, handlers, isOpen: true };
      opened.push(it);
      return {
        async [Symbol.asyncDispose]() {
          it.isOpen = false;
        },
      };
    },
    watchNamespaces(handlers) {
      const it = { handlers, isOpen: true };
      namespaces.push(it);
      return {
        async [Symbol.asyncDispose]() {
          it.isOpen = false;
        },
      };
    },
  };
  const open = () => opened.filter(({ isOpen }) => isOpen);
  return { cluster, opened, namespaces, open, scopes: () => open().map(({ scope }) => scope) };
}

function open(scope: 'namespace' | 'names' = 'namespace') {
  const fake = createFakeCluster();
  const clock = createClock();
  const loops = createLoops(clock);
  const told: string[] = [];
  const timers = new Set<() => void>();
  const trouble = new Map<string, string>();
  const watches = createWatches({
    cluster: fake.cluster,
    scope,
    loops,
    onMeta: ({ id }) => void told.push(`meta ${formatTarget(id)}`),
    onGone: (id) => void told.push(`gone ${formatTarget(id)}`),
    onListed: (all) => void told.push(`listed ${all.map(nameOf).join(' ')}`),
    wake: (callback) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
    onNamespaces: () => void told.push('namespaces'),
    onTrouble: (name, error) =>
      void (error === undefined ? trouble.delete(name) : trouble.set(name, error.code)),
    onEnd: (name) => void trouble.delete(name),
  });
  const last = (): Opened => {
    const it = fake.opened.at(-1);
    if (it === undefined) throw new Error('nothing is watched');
    return it;
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
    told,
    trouble,
    watches,
    last,
    timers,
    context,
    taken: () => told.splice(0),
  };
}

describe('watches', () => {
  it('are one for each namespace, and only where something is wanted', async () => {
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

  it('are one for each target where only names may be watched', () => {
    const { watches, scopes } = open('names');
    watches.follow([A, B]);
    watches.follow([A, B, OTHER]);
    expect(scopes()).toEqual([
      { namespace: 'apps', secret: 'a' },
      { namespace: 'apps', secret: 'b' },
      { namespace: 'other', secret: 'c' },
    ]);
  });

  it('tell what is there, and what a list or an event shows to be gone', () => {
    const { watches, last, taken } = open();
    watches.follow([A, B]);
    expect(watches.isListed(A.id)).toBe(false);
    last().handlers.listed([meta(A), meta(B)]);
    expect(watches.isListed(A.id)).toBe(true);
    expect(taken()).toEqual(['meta apps/a', 'meta apps/b', 'listed apps']);
    last().handlers.gone(A.id);
    last().handlers.gone(A.id);
    last().handlers.listed([]);
    expect(taken()).toEqual(['gone apps/a', 'gone apps/b', 'listed apps']);
  });

  it('tell of their first lists together, so that work begins with all that is missing', () => {
    const { watches, opened, taken, timers } = open();
    watches.follow([A, OTHER]);
    opened[1]?.handlers.listed([]);
    expect([taken(), watches.isListed(OTHER.id)]).toEqual([[], true]);
    opened[0]?.handlers.listed([]);
    expect([taken(), timers.size]).toEqual([['listed other apps'], 0]);
    opened[1]?.handlers.listed([]);
    expect(taken()).toEqual(['listed other']);
  });

  it('wait a moment for a list that does not come, and not at all for one that cannot, or is not wanted', () => {
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

  it('tell of no list once they are closed', async () => {
    const { watches, opened, taken, timers } = open();
    watches.follow([A, OTHER]);
    opened[0]?.handlers.listed([]);
    await watches[Symbol.asyncDispose]();
    expect([taken(), timers.size]).toEqual([[], 0]);
  });

  it('begin anew where a Secret is wanted that was told and not kept', () => {
    const { watches, last, taken, open: opened } = open();
    watches.follow([A]);
    last().handlers.listed([meta(A), meta(B)]);
    expect(taken()).toEqual(['meta apps/a', 'listed apps']);
    watches.follow([A, B]);
    expect(opened()).toHaveLength(1);
    expect(watches.isListed(B.id)).toBe(false);
    // What went in between is not forgotten.
    last().handlers.listed([meta(B)]);
    expect(taken()).toEqual(['gone apps/a', 'meta apps/b', 'listed apps']);
  });

  it('go on where a Secret is wanted that is not there, and tell of it from then on', () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A]);
    last().handlers.listed([meta(A)]);
    taken();
    watches.follow([A, B]);
    expect(opened).toHaveLength(1);
    expect(watches.isListed(B.id)).toBe(true);
    last().handlers.changed(meta(B));
    last().handlers.gone(B.id);
    expect(taken()).toEqual(['meta apps/b', 'gone apps/b']);
  });

  it('go on where a Secret was there that nobody wanted, and is gone', () => {
    const { watches, last, opened } = open();
    watches.follow([A]);
    last().handlers.listed([meta(A), meta(B)]);
    last().handlers.gone(B.id);
    watches.follow([A, B]);
    expect(opened).toHaveLength(1);
    // A list says it too.
    watches.follow([A]);
    last().handlers.changed(meta(B));
    last().handlers.listed([meta(A)]);
    watches.follow([A, B]);
    expect(opened).toHaveLength(1);
  });

  it('go on before their first list, which tells of what is wanted by then', () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A]);
    watches.follow([A, B]);
    expect([opened.length, watches.isListed(B.id)]).toEqual([1, false]);
    last().handlers.listed([meta(A), meta(B)]);
    expect(taken()).toEqual(['meta apps/a', 'meta apps/b', 'listed apps']);
  });

  it('begin anew also where it was wanted once before', () => {
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

  it('show trouble and progress, and no more when nobody wants them', () => {
    const { watches, last, trouble, clock, loops } = open();
    watches.follow([A]);
    const { handlers } = last();
    clock.time += 1_000;
    handlers.progress(UNAVAILABLE);
    expect([...trouble]).toEqual([['apps', 'CLUSTER_UNAVAILABLE']]);
    expect(loops.states()).toMatchObject([{ name: 'watch apps', ageMs: 0 }]);
    watches.follow([]);
    expect(trouble.size).toBe(0);
    // On its way out.
    handlers.progress(UNAVAILABLE);
    expect(trouble.size).toBe(0);
  });

  it('keep their trouble when another takes its place, until that one works', () => {
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

  it('say nothing once they are closed, and open nothing', async () => {
    const { watches, last, taken, opened } = open();
    watches.follow([A]);
    const { handlers } = last();
    handlers.listed([meta(A)]);
    await watches[Symbol.asyncDispose]();
    taken();
    handlers.changed(meta(A));
    handlers.gone(A.id);
    handlers.listed([]);
    watches.follow([A, OTHER, SELECTED]);
    expect([taken(), opened.length]).toEqual([[], 1]);
  });

  it('of namespaces are there while something selects them', () => {
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

  it('do not watch what a selector could not be resolved to', () => {
    const { watches, scopes, namespaces } = open();
    const unknown = { ...SELECTED, id: { namespace: '*', secret: 'd' }, error: UNAVAILABLE };
    watches.follow([unknown]);
    expect([scopes(), namespaces.length]).toEqual([[], 1]);
  });

  it('stall when nothing was heard for too long', () => {
    const { watches, clock, loops } = open();
    watches.follow([A]);
    clock.time += (loops.states()[0]?.deadlineMs ?? 0) + 1;
    expect(loops.states()).toMatchObject([{ name: 'watch apps', stalled: true }]);
  });

  it('work on a cluster', async () => {
    const cluster = createMemoryCluster();
    const told: string[] = [];
    await using watches = createWatches({
      cluster,
      scope: 'namespace',
      loops: createLoops(createClock()),
      onMeta: ({ id }) => void told.push(`meta ${formatTarget(id)}`),
      onGone: (id) => void told.push(`gone ${formatTarget(id)}`),
      onListed: (all) => void told.push(`listed ${all.map(nameOf).join(' ')}`),
      onNamespaces: () => undefined,
      onTrouble: () => undefined,
      onEnd: () => undefined,
    });
    cluster.put(A.id, { type: 'Opaque' });
    watches.follow([A, B]);
    await settled();
    cluster.put(B.id, { type: 'Opaque' });
    cluster.put({ namespace: 'apps', secret: 'foreign' }, { type: 'Opaque' });
    cluster.forget(A.id);
    await settled();
    expect(told).toEqual(['meta apps/a', 'listed apps', 'meta apps/b', 'gone apps/a']);
  });
});
