import type { NamespaceHandlers, SecretMeta, WatchHandlers, WatchScope } from '../../src/cluster/cluster.ts';
import { checkScope } from '../../src/cluster/names.ts';
import type { AppError } from '../../src/core/errors.ts';
import { formatTarget, type TargetId } from '../../src/core/target.ts';

/**
 * The watches of a memory cluster. They report each event in a microtask, so a write never calls a listener directly.
 */
export interface MemoryWatches {
  watch(scope: WatchScope, handlers: WatchHandlers): AsyncDisposable;
  watchNamespaces(handlers: NamespaceHandlers): AsyncDisposable;
  changed(meta: SecretMeta): void;
  deleted(id: TargetId): void;
  namespacesChanged(): void;
  /**
   * Makes every watch fail with this error, and then restarts it. Changes between failure and restart are only in the
   * new list.
   */
  interrupt(error: AppError): void;
  readonly scopes: readonly WatchScope[];
}

interface Watcher {
  readonly scope: WatchScope | undefined;
  readonly list: () => void;
  readonly handlers: WatchHandlers | undefined;
  readonly progress: (error?: AppError) => void;
  readonly queue: (() => void)[];
}

export function createMemoryWatches(find: (scope: WatchScope) => readonly SecretMeta[]): MemoryWatches {
  const watchers = new Set<Watcher>();

  function deliver(watcher: Watcher, call: () => void): void {
    watcher.queue.push(call);
    if (watcher.queue.length === 1) queueMicrotask(() => flush(watcher));
  }

  function flush(watcher: Watcher): void {
    for (let call = watcher.queue[0]; call !== undefined; call = watcher.queue[0]) {
      if (watchers.has(watcher)) call();
      watcher.queue.shift();
    }
  }

  function open(watcher: Watcher): AsyncDisposable {
    watchers.add(watcher);
    deliver(watcher, watcher.list);
    return {
      async [Symbol.asyncDispose]() {
        watchers.delete(watcher);
      },
    };
  }

  function notify({ namespace, secret }: TargetId, call: (handlers: WatchHandlers) => void): void {
    for (const watcher of watchers) {
      const { scope, handlers, progress } = watcher;
      const within =
        scope?.namespace === namespace && (scope.secret === undefined || scope.secret === secret);
      if (handlers === undefined || !within) continue;
      deliver(watcher, () => {
        call(handlers);
        progress();
      });
    }
  }

  return {
    get scopes() {
      return [...watchers].flatMap(({ scope }) => (scope === undefined ? [] : [scope]));
    },
    watch(scope, handlers) {
      checkScope(scope);
      const list = () => {
        handlers.listed(find(scope));
        handlers.progress();
      };
      return open({ scope, handlers, list, progress: handlers.progress, queue: [] });
    },
    watchNamespaces(handlers) {
      const list = () => {
        handlers.changed();
        handlers.progress();
      };
      return open({ scope: undefined, handlers: undefined, list, progress: handlers.progress, queue: [] });
    },
    changed: (meta) => notify(meta.id, (handlers) => handlers.changed(meta)),
    deleted: (id) => notify(id, (handlers) => handlers.deleted(id)),
    namespacesChanged() {
      for (const watcher of watchers) if (watcher.scope === undefined) deliver(watcher, watcher.list);
    },
    interrupt(error) {
      for (const watcher of watchers) {
        watcher.queue.length = 0;
        deliver(watcher, () => watcher.progress(error));
        deliver(watcher, watcher.list);
      }
    },
  };
}

/**
 * Stores the manager that wrote each field, as the API server does. A write that keeps the value of a field does not
 * change its manager.
 */
export interface MemoryWriters {
  wrote(id: TargetId, by: 'us' | 'others', fields: ReadonlyMap<string, unknown>): void;
  forget(id: TargetId): void;
  of(id: TargetId, by: 'us' | 'others'): readonly string[];
}

export function createMemoryWriters(): MemoryWriters {
  const objects = new Map<string, ReadonlyMap<string, { value: unknown; by: 'us' | 'others' }>>();
  return {
    wrote(id, by, fields) {
      const before = objects.get(formatTarget(id));
      const after = [...fields].map(([name, value]) => {
        const held = before?.get(name);
        return [name, held?.value === value && held !== undefined ? held : { value, by }] as const;
      });
      objects.set(formatTarget(id), new Map(after));
    },
    forget: (id) => void objects.delete(formatTarget(id)),
    of: (id, by) =>
      [...(objects.get(formatTarget(id)) ?? [])].flatMap(([name, field]) => (field.by === by ? [name] : [])),
  };
}
