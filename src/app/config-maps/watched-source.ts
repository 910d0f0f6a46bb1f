import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../cluster/cluster.ts';
import type { Config } from '../../config/config.ts';
import { isSame } from '../../config/diff.ts';
import {
  type ConfigMapSource,
  isConfigMapPath,
  isNamed,
  pathOf,
  type Selection,
} from '../../config/files/config-maps.ts';
import { realFs } from '../../config/files/files.ts';
import { type WatchFolder, watchRealFolder } from '../../config/watch/watch.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { formatSelector } from '../../core/label-selector.ts';
import { largest } from '../../core/lists.ts';
import { startBackgroundTimer } from '../../core/timer.ts';
import { type ClusterDeps, openCluster } from '../cluster.ts';
import { configMapFiles, type Folders, type NamespaceFolder, notListed, unopened } from './folders.ts';
import type { ReadableConfigMaps } from './read-once.ts';
import { WatchedSelection } from './watched-selection.ts';

/** The longest wait for the first lists. The service must start while the API server does not answer. */
const FIRST_LISTS_MS = 5_000;

/** Called when a ConfigMap no longer exists, or no longer has the labels. */
export type OnRemovedConfigMap = (
  place: { readonly namespace: string; readonly name: string },
  cause: 'deleted' | 'labels',
) => void;

export interface WatchedSourceDeps extends ClusterDeps {
  readonly onRemoved?: OnRemovedConfigMap;
  /** Called for each change of a ConfigMap, also if its mappings are the same. */
  readonly onSeen?: (place: { readonly namespace: string; readonly name: string }) => void;
}

/** ConfigMaps that a running service follows. */
export interface WatchedConfigMaps extends ReadableConfigMaps, AsyncDisposable {
  /** Also reports changes of ConfigMaps. */
  readonly watchFolder: WatchFolder;
}

/** The cluster is only opened if an `include` selects ConfigMaps. */
export function watchConfigMaps(deps: WatchedSourceDeps): WatchedConfigMaps {
  const source = new WatchedSource(deps);
  return {
    configMaps: source,
    readFs: configMapFiles(realFs, source),
    watchFolder: (path, onEvent) =>
      isConfigMapPath(path) ? source.subscribe(path, onEvent) : watchRealFolder(path, onEvent),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** Stands for the whole folder, as in a mounted ConfigMap. */
const ALL = '..';

type Listener = Parameters<WatchFolder>[1];

class WatchedSource implements ConfigMapSource, Folders, AsyncDisposable {
  readonly #deps: WatchedSourceDeps;
  readonly #selections = new Map<string, WatchedSelection>();
  readonly #listeners = new Map<string, Set<Listener>>();
  /** The folders that changed while there was no listener. */
  readonly #unheard = new Set<string>();
  #config: Config['cluster'] | undefined;
  #cluster: Cluster | AppError | undefined;

  constructor(deps: WatchedSourceDeps) {
    this.#deps = deps;
  }

  async select(config: Config['cluster'], selections: readonly Selection[]): Promise<void> {
    const isNeeded = selections.length > 0 && config.kind === 'kubernetes';
    if (!isNeeded || !isSame(config, this.#config)) await this[Symbol.asyncDispose]();
    if (!isNeeded) return;
    this.#config = config;
    const cluster = await this.#open(config);
    if (cluster instanceof AppError) return;
    const wanted = Map.groupBy(selections, ({ selector }) => formatSelector(selector));
    for (const [id, watched] of this.#selections)
      if (!wanted.has(id)) {
        this.#selections.delete(id);
        await watched[Symbol.asyncDispose]();
      }
    const ready = [...wanted].map(([id, entries]) => this.#follow(id, entries, cluster));
    const timeout = new AbortController();
    const late = sleep(FIRST_LISTS_MS, undefined, { signal: timeout.signal, ref: false }).catch(
      () => undefined,
    );
    await Promise.race([Promise.all(ready), late]);
    timeout.abort();
  }

  namespaces(selector: string): readonly string[] {
    if (this.#cluster instanceof AppError) throw this.#cluster;
    return this.#selections.get(selector)?.namespaces() ?? [];
  }

  folder(selector: string, namespace: string): NamespaceFolder {
    const folder = this.#selections.get(selector)?.folder(namespace);
    if (folder !== undefined) return folder;
    const error = this.#cluster instanceof AppError ? this.#cluster : notListed(namespace);
    return { error, contents: new Map() };
  }

  subscribe(path: string, listener: Listener): Disposable {
    const listeners = this.#listeners.get(path) ?? new Set();
    this.#listeners.set(path, listeners.add(listener));
    if (this.#unheard.delete(path)) queueMicrotask(() => listener(ALL, 'rename'));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.#listeners.get(path) === listeners) this.#listeners.delete(path);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#selections.values()];
    this.#selections.clear();
    this.#unheard.clear();
    await Promise.all(open.map((selection) => selection[Symbol.asyncDispose]()));
    if (this.#cluster !== undefined && !(this.#cluster instanceof AppError))
      await this.#cluster[Symbol.asyncDispose]();
    this.#cluster = undefined;
    this.#config = undefined;
  }

  /** A cluster that could not be opened is tried again with the next load. */
  async #open(config: Config['cluster']): Promise<Cluster | AppError> {
    if (this.#cluster !== undefined && !(this.#cluster instanceof AppError)) return this.#cluster;
    try {
      this.#cluster = await openCluster(config, this.#deps);
    } catch (error) {
      this.#cluster = unopened(toAppError(error));
    }
    return this.#cluster;
  }

  /** Resolves when the ConfigMaps are listed. */
  #follow(id: string, entries: readonly Selection[], cluster: Cluster): Promise<void> {
    const maps = cluster.selectedConfigMaps;
    const [first] = entries;
    if (maps === undefined || first === undefined) return Promise.resolve();
    const known = this.#selections.get(id);
    const watched =
      known ??
      new WatchedSelection({
        ...{ cluster, maps, selector: first.selector },
        timers: { now: () => this.#deps.clock.now(), wake: startBackgroundTimer },
        onChange: (namespace, name) => this.#notify(id, namespace, name),
        onMap: (what, place) => {
          if (what === 'seen') this.#deps.onSeen?.(place);
          else void this.#reportRemoved(place);
        },
      });
    this.#selections.set(id, watched);
    return watched.follow({
      globs: entries.flatMap(({ namespaces }) => namespaces),
      findsNamespaces: !entries.every(({ namespaces }) => namespaces.every(isNamed)),
      maxBytes: largest(entries.map(({ maxBytes }) => maxBytes)),
    });
  }

  #notify(selector: string, namespace?: string, name = ALL): void {
    const root = pathOf({ selector });
    const folder = namespace === undefined ? root : pathOf({ selector, namespace });
    // Without listeners, the folder is new in its parent.
    const isHeard = this.#tell(folder, name) || (namespace !== undefined && this.#tell(root, namespace));
    // The first load may not have ended yet.
    if (!isHeard) for (const path of [root, folder]) this.#unheard.add(path);
  }

  #tell(path: string, name: string): boolean {
    const listeners = this.#listeners.get(path) ?? [];
    for (const listener of listeners) listener(name, 'rename');
    return this.#listeners.has(path);
  }

  async #reportRemoved(place: { readonly namespace: string; readonly name: string }): Promise<void> {
    const { onRemoved } = this.#deps;
    const cluster = this.#cluster;
    if (onRemoved === undefined || cluster === undefined || cluster instanceof AppError) return;
    try {
      const object = await cluster.configMaps?.read(place.namespace, place.name);
      onRemoved(place, object === undefined ? 'deleted' : 'labels');
    } catch (error) {
      // The removal is certain; only its cause is unknown.
      if (!(error instanceof AppError)) throw error;
      onRemoved(place, 'deleted');
    }
  }
}
