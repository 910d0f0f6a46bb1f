import type { Cluster, SecretMeta, WatchHandlers, WatchScope } from '../../cluster/cluster.ts';
import type { AppError } from '../../core/errors.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { Loop, Loops } from '../liveness/loops.ts';

/** Delivers items in batches. Waits while more items are expected. */
interface ArrivalBatch<T> extends Disposable {
  /** Announces an item. Call the returned function when the item has arrived or will not arrive. */
  expect(): () => void;
  add(nonNullable: T): void;
}

interface ArrivalBatchOptions<T> {
  /** Maximum delay of an item, in milliseconds. */
  readonly maxWaitMs: number;
  readonly wake: StartTimer;
  readonly deliver: (all: readonly T[]) => void;
}

/** Delivers as soon as no item is expected, or after the maximum delay. */
function createArrivalBatch<T>({ maxWaitMs, wake, deliver }: ArrivalBatchOptions<T>): ArrivalBatch<T> {
  let expected = 0;
  let waiting: T[] = [];
  let cancelTimer: (() => void) | undefined;
  const flush = (): void => {
    cancelTimer?.();
    cancelTimer = undefined;
    const all = waiting;
    waiting = [];
    if (all.length > 0) deliver(all);
  };
  return {
    expect() {
      expected += 1;
      let isExpected = true;
      return () => {
        if (!isExpected) return;
        isExpected = false;
        expected -= 1;
        if (expected === 0) flush();
      };
    },
    add(nonNullable) {
      waiting.push(nonNullable);
      if (expected === 0) flush();
      else cancelTimer ??= wake(flush, maxWaitMs);
    },
    [Symbol.dispose]() {
      waiting = [];
      cancelTimer?.();
    },
  };
}

interface WatchesDeps {
  readonly cluster: Pick<Cluster, 'watch' | 'watchNamespaces'>;
  /** With `names`, each target has its own watch, so that permissions can be limited to the names of the Secrets. */
  readonly scope: 'namespace' | 'names';
  readonly loops: Loops;
  readonly onMeta: (meta: SecretMeta) => void;
  readonly onGone: (target: TargetId) => void;
  /** Called when the scopes were listed completely. If a target in these scopes has no metadata, it does not exist. */
  readonly onListed: (scopes: readonly WatchScope[]) => void;
  readonly onNamespaces: () => void;
  readonly onStatus: (name: string, error: AppError | undefined) => void;
  /** Called when a watch is no longer needed. */
  readonly onEnd: (name: string) => void;
  /** Starts a timer. Default: system timers. */
  readonly wake?: StartTimer | undefined;
}

interface Watches extends AsyncDisposable {
  /**
   * Watches the scopes of these targets and closes all other watches.
   *
   * @param selects Whether a mapping uses a namespace selector, even if the selector matches no namespace now.
   */
  follow(desired: readonly DesiredTarget[], selects?: boolean): void;
  /** Whether the watch for this target has received its first list. */
  isListed(target: TargetId): boolean;
}

/**
 * A watch replaces a silent connection after at most 150 s. If it shows no progress for this longer time, it counts as
 * stalled.
 */
const DEADLINE_MS = 270_000;

/**
 * Maximum delay for combining the first lists of several watches. Then the targets of one mapping run consecutively and
 * share cached values.
 */
const COALESCE_MS = 500;

const NAMESPACES = 'namespaces';

interface Running {
  readonly watch: AsyncDisposable;
  readonly loop: Loop;
  readonly state: State;
  /** Ends the wait for the first list. */
  readonly stopExpecting: () => void;
}

interface State {
  listed: boolean;
  /** Whether the watch was closed. Its events are then ignored. */
  closed: boolean;
  /** The wanted Secrets that exist. */
  readonly seen: Map<string, TargetId>;
  /** The names of the wanted Secrets. */
  names: ReadonlySet<string>;
  readonly others: Set<string>;
}

/** Maintains one watch for each wanted namespace, or for each wanted target. */
export function createWatches(deps: WatchesDeps): Watches {
  const { cluster, loops, scope, wake = startBackgroundTimer } = deps;
  const running = new Map<string, Running>();
  const lists = createArrivalBatch({ maxWaitMs: COALESCE_MS, wake, deliver: deps.onListed });
  const ending = new Set<Promise<void>>();
  let closed = false;
  let namespaces: { readonly watch: AsyncDisposable; readonly loop: Loop } | undefined;

  const keyOf = ({ namespace, secret }: TargetId): string =>
    scope === 'names' ? formatTarget({ namespace, secret }) : namespace;

  const open = (
    key: string,
    { namespace, secret }: TargetId,
    state: Omit<State, 'listed' | 'closed'>,
  ): Running => {
    const loop = loops.begin(`watch ${key}`, DEADLINE_MS);
    const watchState: State = { ...state, listed: false, closed: false };
    const { seen } = watchState;
    const where = scope === 'names' ? { namespace, secret } : { namespace };
    const stopExpecting = lists.expect();
    const handlers: WatchHandlers = {
      isOfInterest: (secret) => watchState.names.has(secret),
      listed(secrets) {
        if (watchState.closed) return;
        watchState.others.clear();
        const now = new Set(secrets.map(({ id }) => formatTarget(id)));
        for (const [name, id] of seen) if (!now.has(name)) handlers.deleted(id);
        for (const meta of secrets) handlers.changed(meta);
        watchState.listed = true;
        lists.add(where);
        stopExpecting();
      },
      changed(meta) {
        if (watchState.closed) return;
        if (!watchState.names.has(meta.id.secret)) {
          watchState.others.add(meta.id.secret);
          return;
        }
        seen.set(formatTarget(meta.id), meta.id);
        deps.onMeta(meta);
      },
      deleted(id) {
        if (watchState.closed) return;
        watchState.others.delete(id.secret);
        if (seen.delete(formatTarget(id))) deps.onGone(id);
      },
      progress(error) {
        if (watchState.closed) return;
        loop.beat();
        deps.onStatus(key, error);
        if (error !== undefined) stopExpecting();
      },
    };
    return { loop, state: watchState, stopExpecting, watch: cluster.watch(where, handlers) };
  };

  const stop = (entry: Running): void => {
    entry.state.closed = true;
    entry.stopExpecting();
    end(entry);
  };

  const close = (key: string, entry: Running): void => {
    stop(entry);
    running.delete(key);
    deps.onEnd(key);
  };

  const end = (entry: { readonly watch: AsyncDisposable; readonly loop: Loop }): void => {
    entry.loop.end();
    const ended = (async () => await entry.watch[Symbol.asyncDispose]())().finally(() =>
      ending.delete(ended),
    );
    ending.add(ended);
  };

  const followNamespaces = (isWanted: boolean): void => {
    if (isWanted === (namespaces !== undefined)) return;
    if (namespaces !== undefined) {
      end(namespaces);
      namespaces = undefined;
      deps.onEnd(NAMESPACES);
      return;
    }
    const loop = loops.begin(`watch ${NAMESPACES}`, DEADLINE_MS);
    const isOpen = (): boolean => namespaces?.loop === loop;
    const watch = cluster.watchNamespaces({
      changed() {
        if (isOpen()) deps.onNamespaces();
      },
      progress(error) {
        if (!isOpen()) return;
        loop.beat();
        deps.onStatus(NAMESPACES, error);
      },
    });
    namespaces = { watch, loop };
  };

  return {
    follow(desired, selects = desired.some(isSelected)) {
      if (closed) return;
      followNamespaces(selects);
      const resolved = desired.filter(({ error }) => error === undefined).map(({ id }) => id);
      const now = Map.groupBy(resolved, keyOf);
      for (const [key, entry] of running) if (!now.has(key)) close(key, entry);
      for (const [key, ids] of now) {
        const before = running.get(key);
        const [first] = ids;
        const names = new Set(ids.map(({ secret }) => secret));
        if (first === undefined) continue;
        // The metadata of unwanted Secrets was not kept. So if one of them is wanted now, the watch must list again. If
        // none is, the watch can continue.
        if (before !== undefined && names.isDisjointFrom(before.state.others)) {
          for (const { secret } of before.state.seen.values())
            if (!names.has(secret)) before.state.others.add(secret);
          before.state.names = names;
          continue;
        }
        // Stop the old watch without reporting its end, so that its error stays until the new watch works.
        if (before !== undefined) stop(before);
        const seen = before?.state.seen ?? new Map<string, TargetId>();
        running.set(key, open(key, first, { names, others: new Set(), seen }));
      }
    },
    isListed: (target) => running.get(keyOf(target))?.state.listed ?? false,
    async [Symbol.asyncDispose]() {
      closed = true;
      lists[Symbol.dispose]();
      for (const [key, entry] of running) close(key, entry);
      followNamespaces(false);
      await Promise.all(ending);
    },
  };
}

export function isSelected({ mapping }: Pick<DesiredTarget, 'mapping'>): boolean {
  return mapping.target.namespaceSelector !== undefined;
}
