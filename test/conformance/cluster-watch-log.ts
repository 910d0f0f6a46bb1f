import { expect } from 'vitest';
import type { Cluster, SecretMeta, WatchHandlers, WatchScope } from '../../src/cluster/cluster.ts';
import type { AppError } from '../../src/core/errors.ts';

export type WatchRecord =
  | { readonly kind: 'listed'; readonly found: readonly SecretMeta[] }
  | { readonly kind: 'changed'; readonly meta: SecretMeta }
  | { readonly kind: 'gone'; readonly secret: string };

/** Collects all events of a watch in order. */
export interface WatchLog extends WatchHandlers, AsyncDisposable {
  readonly records: readonly WatchRecord[];
  readonly errors: readonly AppError[];
  progressCount(): number;
  listCount(): number;
  /** Returns the current objects. They are computed from the events. */
  now(): ReadonlyMap<string, SecretMeta>;
  /** Resolves when the condition is true. The condition is checked after every event. */
  until(holds: (log: WatchLog) => boolean, timeoutMs?: number): Promise<void>;
}

export function openWatchLog(cluster: Cluster, scope: WatchScope): WatchLog {
  const log = createLog();
  const watch = cluster.watch(scope, log);
  return Object.assign(log, { [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose]() });
}

export function createLog(): WatchLog {
  const events: WatchRecord[] = [];
  const errors: AppError[] = [];
  const waiting = new Set<() => void>();
  let progress = 0;
  const addEvent = (event: WatchRecord) => {
    events.push(event);
    for (const check of waiting) check();
  };
  const log: WatchLog = {
    records: events,
    errors,
    progressCount: () => progress,
    listCount: () => events.filter(({ kind }) => kind === 'listed').length,
    now() {
      const current = new Map<string, SecretMeta>();
      for (const event of events) {
        if (event.kind === 'listed') {
          current.clear();
          for (const meta of event.found) current.set(meta.id.secret, meta);
        } else if (event.kind === 'changed') current.set(event.meta.id.secret, event.meta);
        else current.delete(event.secret);
      }
      return current;
    },
    listed: (metas) => addEvent({ kind: 'listed', found: metas }),
    changed: (meta) => addEvent({ kind: 'changed', meta }),
    deleted: ({ secret }) => addEvent({ kind: 'gone', secret }),
    progress(error) {
      progress += 1;
      if (error !== undefined) errors.push(error);
      for (const check of waiting) check();
    },
    async until(holds, timeoutMs = 10_000) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const check = () => {
        if (holds(log)) resolve();
      };
      const timer = setTimeout(() => {
        const text = JSON.stringify({ events, errors: errors.map(({ message }) => message) });
        reject(new Error(`the condition did not hold in time; records: ${text.slice(0, 4_000)}`));
      }, timeoutMs);
      waiting.add(check);
      check();
      try {
        await promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(check);
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return log;
}

/** Returns the last reported state of a Secret. */
export function metaOf(log: WatchLog, secret: string): SecretMeta {
  const meta = log.now().get(secret);
  if (meta === undefined) expect.fail(`no record of ${secret}`);
  return meta;
}
