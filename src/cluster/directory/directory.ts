import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { makeFolder, nearestFolder } from '../../core/folders.ts';
import type { LiveSecret } from '../../core/secret.ts';
import { compareText, formatTarget, type TargetId } from '../../core/target.ts';
import {
  type Cluster,
  createOpenWatches,
  type MergeResult,
  type OnWrite,
  type RemoveResult,
  type SecretMeta,
  type WriteResult,
} from '../cluster.ts';
import { applyTo, withOwnership } from '../field-owners.ts';
import { objectIn } from '../json.ts';
import { appliedIn, exclusivelyOwnedIn } from '../managed-fields.ts';
import { appliedSecret, changedSecret, needsRecreation, newSecret, toLive, toMeta } from '../manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from '../names.ts';
import { directoryUnavailable, isAccessible, removeFile, withDiskErrors, withFolderLock } from './disk.ts';
import { type ReadFile, SecretFiles } from './file.ts';
import { namespacesIn, secretsIn } from './list.ts';
import { watchFiles, watchFolders } from './watch.ts';

export interface DirectoryClusterOptions {
  /** The path of the directory. The first write creates it. */
  readonly path: string;
  readonly clock: Clock;
  readonly newUid?: () => string;
  /** Called for each requested change, except for a dry run. */
  readonly onWrite?: OnWrite | undefined;
}

/**
 * Creates a cluster that stores each Secret in a file `PATH/<namespace>/<secret>.yaml`. Each namespace is a folder that
 * is created with its first Secret. Folders have mode 0700, files 0600. Each write replaces the file atomically, so a
 * crash keeps either the old or the new file.
 */
export function createDirectoryCluster(options: DirectoryClusterOptions): Cluster {
  return new DirectoryCluster(options);
}

class DirectoryCluster implements Cluster {
  readonly address: string;
  readonly inCluster = false;
  readonly identities = undefined;
  readonly workloads = undefined;
  readonly configMaps = undefined;
  readonly selectedConfigMaps = undefined;
  readonly objectEvents = undefined;
  readonly configMapAnnotations = undefined;
  readonly #options: DirectoryClusterOptions;
  readonly #root: string;
  readonly #files: SecretFiles;
  readonly #watches = createOpenWatches();
  readonly #reads = new WeakMap<LiveSecret, ReadFile>();

  constructor(options: DirectoryClusterOptions) {
    this.#options = options;
    this.#root = resolve(options.path);
    this.#files = new SecretFiles(this.#root);
    this.address = this.#root;
  }

  readonly watch: Cluster['watch'] = (scope, handlers) => {
    const loadMeta = (secret: string) => this.#loadMeta({ namespace: scope.namespace, secret });
    return this.#watches.add(watchFiles(this.#root, scope, handlers, loadMeta));
  };

  readonly watchNamespaces: Cluster['watchNamespaces'] = (handlers) =>
    this.#watches.add(watchFolders(this.#root, handlers));

  readonly read: Cluster['read'] = async (id) => {
    const file = await withDiskErrors(formatTarget(id), () => this.#files.load(id));
    if (file !== undefined) this.#reads.set(file.live, file);
    return file?.live;
  };

  readonly create: Cluster['create'] = async (id, manifest, { signal, dryRun = false } = {}) => {
    if (dryRun) return this.#dryRun(id, (current) => current === undefined);
    const { clock, newUid = randomUUID } = this.#options;
    const write = async () => {
      await makeFolder(dirname(this.#files.pathOf(id)));
      const raw = withOwnership(newSecret(id, manifest));
      const creationTimestamp = new Date(clock.now()).toISOString().replace(/\.\d+/, '');
      const metadata = { ...objectIn(raw, 'metadata'), creationTimestamp };
      return this.#files.write(id, { ...raw, metadata }, { uid: newUid(), version: 1, exclusive: true });
    };
    return this.#locked('create', id, write, signal);
  };

  readonly replace: Cluster['replace'] = async (live, change, { signal, dryRun = false } = {}) => {
    if (dryRun) return this.#dryRun(live.id, (current) => current?.resourceVersion === live.resourceVersion);
    const before = this.#fileRead(live);
    const write = async (): Promise<WriteResult> => {
      const current = await this.#files.load(live.id);
      // Compare the bytes, because a manual edit may keep both the version counter and the file's modification time.
      if (current === undefined || !current.bytes.equals(before.bytes)) return { kind: 'conflict' };
      if (needsRecreation(live, change)) throw new AppError('IMMUTABLE', { subject: formatTarget(live.id) });
      return this.#files.rewrite(before, withOwnership(changedSecret(before.raw, change), before.raw));
    };
    return this.#locked('update', live.id, write, signal);
  };

  readonly remove: Cluster['remove'] = async (live, { signal, dryRun = false } = {}) => {
    const { id, resourceVersion } = live;
    if (dryRun) {
      const isExpected = (current: LiveSecret | undefined) =>
        current === undefined || current.resourceVersion === resourceVersion;
      const { kind } = await this.#dryRun(id, isExpected);
      return kind === 'conflict' ? { kind } : { kind: 'removed' };
    }
    const before = this.#fileRead(live);
    const remove = async (): Promise<RemoveResult> => {
      const current = await this.#files.load(id);
      if (current === undefined) return { kind: 'removed' };
      if (!current.bytes.equals(before.bytes)) return { kind: 'conflict' };
      await removeFile(this.#files.pathOf(id));
      return { kind: 'removed' };
    };
    return this.#locked('delete', id, remove, signal);
  };

  readonly merge: Cluster['merge'] = async (live, manifest, { signal, dryRun = false } = {}) => {
    if (dryRun) return this.#dryRun(live.id, (current) => current?.uid === live.uid);
    const write = async (): Promise<MergeResult> => {
      const current = await this.#files.load(live.id);
      if (current === undefined) return { kind: 'missing' };
      if (current.live.uid !== live.uid) return { kind: 'conflict' };
      const merged = applyTo(current.raw, appliedSecret(live, manifest), manifest.manager);
      if (merged.kind === 'conflict') return merged;
      const after = toLive(merged.raw, live.id);
      if (after && needsRecreation(current.live, after))
        throw new AppError('IMMUTABLE', { subject: formatTarget(live.id) });
      return this.#files.rewrite(current, merged.raw);
    };
    return this.#locked('patch', live.id, write, signal);
  };

  readonly mergedKeys: Cluster['mergedKeys'] = (live, manager) =>
    appliedIn(objectIn(this.#fileRead(live).raw, 'metadata') ?? {}, manager).data;

  readonly exclusivelyOwned: Cluster['exclusivelyOwned'] = (live, managers) =>
    exclusivelyOwnedIn(objectIn(this.#fileRead(live).raw, 'metadata') ?? {}, managers);

  readonly list: Cluster['list'] = async (namespace, { name, value }) => {
    checkNamespace(namespace);
    selectorOf({ matchLabels: { [name]: value } });
    return withDiskErrors(namespace, async () => {
      const matching: LiveSecret[] = [];
      for (const secret of await secretsIn(this.#root, namespace)) {
        const file = await this.#files.load({ namespace, secret });
        if (file?.live.labels[name] !== value) continue;
        this.#reads.set(file.live, file);
        matching.push(file.live);
      }
      return matching;
    });
  };

  readonly namespaces: Cluster['namespaces'] = async (selector) => {
    selectorOf(selector);
    return withDiskErrors(this.#root, () => namespacesIn(this.#root, selector));
  };

  async ownSecret(): Promise<never> {
    throw new AppError('CREDENTIAL_MISSING', {
      detail: 'secretRef needs a Kubernetes cluster: a directory has no namespace of its own',
    });
  }

  ownNamespace(): undefined {
    return undefined;
  }

  readonly checkAccess: Cluster['checkAccess'] = ({ verb }) => {
    const mode = verb === 'get' || verb === 'list' ? constants.R_OK : constants.W_OK;
    return withDiskErrors(this.#root, async () =>
      isAccessible(await nearestFolder(this.#root), mode | constants.X_OK),
    );
  };

  readonly ping: Cluster['ping'] = () => {
    return withDiskErrors(this.#root, async () => {
      const folder = await nearestFolder(this.#root);
      if ((await stat(folder)).isDirectory()) return {};
      throw directoryUnavailable(`${folder} is not a folder`);
    });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watches[Symbol.asyncDispose]();
  }

  async #loadMeta(id: TargetId): Promise<SecretMeta | undefined> {
    const file = await this.#files.load(id);
    const meta = file && toMeta(file.raw, id.namespace);
    if (file === undefined || meta === undefined) return undefined;
    const data = [...file.live.data.keys()].sort(compareText);
    return { ...meta, ours: meta.ours && { ...meta.ours, data }, foreign: 'unknown' };
  }

  /** A dry run checks only that the files can be read and written, because a folder has no admission rules. */
  #dryRun(id: TargetId, isExpected: (current: LiveSecret | undefined) => boolean): Promise<WriteResult> {
    return withDiskErrors(formatTarget(id), async () => {
      await access(await nearestFolder(dirname(this.#files.pathOf(id))), constants.W_OK | constants.X_OK);
      const current = await this.#files.load(id);
      return isExpected(current?.live) ? { kind: 'written', resourceVersion: '0' } : { kind: 'conflict' };
    });
  }

  async #locked<T>(
    verb: Parameters<OnWrite>[0],
    id: TargetId,
    work: () => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    checkTarget(id);
    this.#options.onWrite?.(verb);
    return withDiskErrors(formatTarget(id), async () => {
      await makeFolder(this.#root);
      return withFolderLock(join(this.#root, '.lock'), work, signal);
    });
  }

  #fileRead(live: LiveSecret): ReadFile {
    const file = this.#reads.get(live);
    if (file !== undefined) return file;
    throw new AppError('INTERNAL', {
      subject: formatTarget(live.id),
      detail: 'this Secret was not read by this cluster client',
    });
  }
}
