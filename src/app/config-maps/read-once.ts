import type { Cluster } from '../../cluster/cluster.ts';
import type { SelectedConfigMaps } from '../../cluster/team-ports.ts';
import type { Config } from '../../config/config.ts';
import { type ConfigMapSource, isNamed, type Selection } from '../../config/files/config-maps.ts';
import { type ConfigFs, realFs } from '../../config/files/files.ts';
import { AppError } from '../../core/errors.ts';
import { matches } from '../../core/glob.ts';
import { formatSelector } from '../../core/label-selector.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { type ClusterDeps, openCluster } from '../cluster.ts';
import {
  configMapFiles,
  endingNamespace,
  type Folders,
  kept,
  type NamespaceFolder,
  notListed,
  unopened,
} from './folders.ts';

/** The concurrent lists. */
const CONCURRENCY = 16;

/** ConfigMaps, and the file system that shows them. */
export interface ReadableConfigMaps {
  readonly configMaps: ConfigMapSource;
  readonly readFs: ConfigFs;
}

/** Returns ConfigMaps for one load of a command. The cluster is only opened if an `include` selects ConfigMaps. */
export function readOnce(deps: ClusterDeps): ReadableConfigMaps {
  const source = new ListedConfigMaps(deps);
  return { configMaps: source, readFs: configMapFiles(realFs, source) };
}

class ListedConfigMaps implements ConfigMapSource, Folders {
  readonly #deps: ClusterDeps;
  readonly #folders = new Map<string, NamespaceFolder>();
  readonly #namespaces = new Map<string, readonly string[] | AppError>();

  constructor(deps: ClusterDeps) {
    this.#deps = deps;
  }

  async select(config: Config['cluster'], selections: readonly Selection[]): Promise<void> {
    if (selections.length === 0 || config.kind !== 'kubernetes') return;
    await using stack = new AsyncDisposableStack();
    const opened = await attempt(async () => stack.use(await openCluster(config, this.#deps)));
    const cluster = opened instanceof AppError ? unopened(opened) : opened;
    for (const selection of selections) await this.#list(cluster, selection);
  }

  namespaces(selector: string): readonly string[] {
    const found = this.#namespaces.get(selector) ?? [];
    if (found instanceof AppError) throw found;
    return found;
  }

  folder(selector: string, namespace: string): NamespaceFolder {
    const folder = this.#folders.get(`${selector} ${namespace}`);
    return folder ?? { error: notListed(namespace), contents: new Map() };
  }

  async #list(cluster: Cluster | AppError, { selector, namespaces: globs }: Selection): Promise<void> {
    const maps = cluster instanceof AppError ? cluster : cluster.selectedConfigMaps;
    if (maps === undefined) return;
    const id = formatSelector(selector);
    const named = globs.filter(isNamed);
    const found = globs.every(isNamed) ? [] : await foundIn(maps, globs);
    // Several entries may have the same selector.
    const known = this.#namespaces.get(id) ?? [];
    const isFailed = known instanceof AppError || found instanceof AppError;
    this.#namespaces.set(id, isFailed ? found : [...new Set([...known, ...found])]);
    const namespaces = [...named, ...(found instanceof AppError ? [] : found)];
    const unread = new Set(namespaces.filter((namespace) => !this.#folders.has(`${id} ${namespace}`)));
    await mapConcurrently([...unread], CONCURRENCY, async (namespace) => {
      this.#folders.set(`${id} ${namespace}`, await folderOf(maps, { namespace, selector }));
    });
  }
}

async function foundIn(
  maps: SelectedConfigMaps | AppError,
  globs: readonly string[],
): Promise<readonly string[] | AppError> {
  if (maps instanceof AppError) return maps;
  const all = await attempt(() => maps.namespaces());
  if (all instanceof AppError) return all;
  return [...all.keys()].filter((name) => globs.some((glob) => matches(glob, name)));
}

async function folderOf(
  maps: SelectedConfigMaps | AppError,
  scope: Parameters<SelectedConfigMaps['list']>[0],
): Promise<NamespaceFolder> {
  const failed = (error: AppError): NamespaceFolder => ({ error, contents: new Map() });
  if (maps instanceof AppError) return failed(maps);
  const items = await attempt(() => maps.list(scope, kept));
  if (items instanceof AppError) return failed(items);
  // Read after the list: a namespace that is active now was active while it was listed.
  const state = await attempt(() => maps.namespaceState(scope.namespace));
  if (state === 'ending') return failed(endingNamespace(scope.namespace));
  if (state instanceof AppError && state.isTransient) return failed(state);
  return { error: undefined, contents: new Map(items.map(({ name, content }) => [name, content])) };
}

async function attempt<T>(work: () => Promise<T>): Promise<T | AppError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}
