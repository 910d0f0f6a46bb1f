import type { Cluster, SecretMeta, WatchHandlers, WatchScope } from '../../cluster/cluster.ts';
import type { AppError } from '../../core/errors.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { Loop, Loops } from '../liveness/loops.ts';
import { createCoalescer } from './coalescer.ts';

export interface WatchesDeps {
  readonly cluster: Pick<Cluster, 'watch' | 'watchNamespaces'>;
  /** `names`: one watch for each target, as narrow as its rights. */
  readonly scope: 'namespace' | 'names';
  readonly loops: Loops;
  readonly onMeta: (meta: SecretMeta) => void;
  readonly onGone: (target: TargetId) => void;
  /** Lists are whole: what is wanted in these scopes and was in none of them is not there. */
  readonly onListed: (scopes: readonly WatchScope[]) => void;
  readonly onNamespaces: () => void;
  readonly onTrouble: (name: string, error: AppError | undefined) => void;
  /** It is needed no more. */
  readonly onEnd: (name: string) => void;
  /** Left out: by the system's timers. */
  readonly wake?: StartTimer | undefined;
}

export interface Watches extends AsyncDisposable {
  /**
   * Watches where these are, and no longer where none is.
   * @param selects Whether a selector may find more, even if it finds no namespace now.
   */
  follow(wanted: readonly DesiredTarget[], selects?: boolean): void;
  /** Whether the state of this target is known from a watch. */
  isListed(target: TargetId): boolean;
}

/** The watch itself gives up on a silent connection after 150 s at most; this much later it has failed to. */
const DEADLINE_MS = 270_000;

/**
 * The first lists are judged together, so that a mapping's targets are made one after the other, out of values that are
 * still at hand.
 */
const COALESCE_MS = 500;

const NAMESPACES = 'namespaces';

interface Running {
  readonly watch: AsyncDisposable;
  readonly loop: Loop;
  readonly state: State;
  /** Its first list came, or will not. */
  readonly stopExpecting: () => void;
}

interface State {
  listed: boolean;
  /** What a watch tells on its way out is no longer of interest. */
  closed: boolean;
  /** Which of the wanted are there, as far as it was told. */
  readonly seen: Map<string, TargetId>;
  /** Secrets that are wanted. What it tells of others nobody keeps, but for their names. */
  names: ReadonlySet<string>;
  readonly others: Set<string>;
}

/** Keeps one watch for each namespace, or each target, that is wanted now. */
export function createWatches(deps: WatchesDeps): Watches {
  const { cluster, loops, scope, wake = startBackgroundTimer } = deps;
  const running = new Map<string, Running>();
  const lists = createCoalescer({ maxWaitMs: COALESCE_MS, wake, deliver: deps.onListed });
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
        for (const [name, id] of seen) if (!now.has(name)) handlers.gone(id);
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
      gone(id) {
        if (watchState.closed) return;
        watchState.others.delete(id.secret);
        if (seen.delete(formatTarget(id))) deps.onGone(id);
      },
      progress(error) {
        if (watchState.closed) return;
        loop.beat();
        deps.onTrouble(key, error);
        if (error !== undefined) stopExpecting();
      },
    };
    return { loop, state: watchState, stopExpecting: stopExpecting, watch: cluster.watch(where, handlers) };
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
        deps.onTrouble(NAMESPACES, error);
      },
    });
    namespaces = { watch, loop };
  };

  return {
    follow(wanted, selects = wanted.some(isSelected)) {
      if (closed) return;
      followNamespaces(selects);
      const resolved = wanted.filter(({ error }) => error === undefined).map(({ id }) => id);
      const now = Map.groupBy(resolved, keyOf);
      for (const [key, entry] of running) if (!now.has(key)) close(key, entry);
      for (const [key, ids] of now) {
        const before = running.get(key);
        const [first] = ids;
        const names = new Set(ids.map(({ secret }) => secret));
        if (first === undefined) continue;
        // What a Secret is that nobody wanted until now was told, and not kept: only a new list tells it again. That
        // there is none is known.
        if (before !== undefined && names.isDisjointFrom(before.state.others)) {
          for (const { secret } of before.state.seen.values())
            if (!names.has(secret)) before.state.others.add(secret);
          before.state.names = names;
          continue;
        }
        // Its trouble stays, until the one that takes its place shows that it works.
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
