import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { makeFolder, nearestFolder } from '../../core/folders.ts';
import { compareText, formatTarget, type TargetId } from '../../core/target.ts';
import {
  type Cluster,
  createOpenWatches,
  type LiveSecret,
  type OnWrite,
  type SecretMeta,
  type WriteResult,
} from '../cluster.ts';
import { applyTo, withOwnership } from '../field-owners.ts';
import { objectIn } from '../json.ts';
import { appliedIn, exclusivelyOwnedIn } from '../managed-fields.ts';
import {
  appliedSecret,
  changedSecret,
  needsRecreation,
  newSecret,
  type RawSecret,
  toLive,
  toMeta,
} from '../manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from '../names.ts';
import {
  directoryUnavailable,
  isAccessible,
  readWithMtime,
  removeFile,
  withDiskErrors,
  withFolderLock,
  writeFileAtomically,
} from './disk.ts';
import { fromFile, toFile, versionOf } from './file.ts';
import { namespacesIn, secretsIn } from './list.ts';
import { readKey, readOrCreateKey } from './state.ts';
import { watchFiles, watchFolders } from './watch.ts';

export interface DirectoryClusterOptions {
  /** The path of the directory. The first write creates it. */
  readonly path: string;
  readonly clock: Clock;
  readonly newUid?: () => string;
  /** Called for each requested change, except for a dry run. */
  readonly onWrite?: OnWrite | undefined;
}

interface ReadFile {
  readonly bytes: Buffer;
  readonly raw: RawSecret;
  readonly live: LiveSecret;
}

/**
 * A cluster stored as files `PATH/<namespace>/<secret>.yaml`. Each namespace is a folder, created with its first
 * Secret. Folders have mode 0700, files 0600. Each write replaces the file atomically, so a crash keeps either the old
 * or the new file.
 */
export function createDirectoryCluster(options: DirectoryClusterOptions): Cluster {
  const root = resolve(options.path);
  const { clock, newUid = randomUUID, onWrite } = options;
  const watches = createOpenWatches();
  const reads = new WeakMap<LiveSecret, ReadFile>();

  async function load(id: TargetId): Promise<ReadFile | undefined> {
    checkTarget(id);
    const contents = await readWithMtime(fileOf(root, id));
    if (contents === undefined) return undefined;
    const raw = fromFile(contents.bytes, id, contents.modified, await readKey(root));
    const live = raw && toLive(raw, id);
    if (raw === undefined || live === undefined) {
      const file = fileOf(root, id);
      throw directoryUnavailable(`${file} is not a manifest of this Secret`, { file });
    }
    return { bytes: contents.bytes, raw, live };
  }

  /** A dry run checks only that the files can be read and written, because a folder has no admission rules. */
  function dryRunWrite(
    id: TargetId,
    isExpected: (current: LiveSecret | undefined) => boolean,
  ): Promise<WriteResult> {
    return withDiskErrors(formatTarget(id), async () => {
      await access(await nearestFolder(dirname(fileOf(root, id))), constants.W_OK | constants.X_OK);
      const current = await load(id);
      return isExpected(current?.live) ? { kind: 'written', resourceVersion: '0' } : { kind: 'conflict' };
    });
  }

  async function write(id: TargetId, raw: RawSecret, uid: string, version: number, exclusive: boolean) {
    const written = await writeFileAtomically(fileOf(root, id), await textOf(raw, uid, version), exclusive);
    if (written === undefined) return { kind: 'conflict' } as const;
    return { kind: 'written', resourceVersion: `${version}-${written.toString(36)}` } as const;
  }

  async function textOf(raw: RawSecret, uid: string, version: number): Promise<string> {
    return toFile(raw, uid, version, await readOrCreateKey(root));
  }

  /** Keeps the resourceVersion if nothing changes, as an API server does. */
  async function rewrite({ bytes, raw: before, live }: ReadFile, raw: RawSecret) {
    if ((await textOf(raw, live.uid, versionOf(before))) === bytes.toString('utf8')) {
      return { kind: 'written', resourceVersion: live.resourceVersion } as const;
    }
    return write(live.id, raw, live.uid, versionOf(before) + 1, false);
  }

  function readFileOf(live: LiveSecret): ReadFile {
    const file = reads.get(live);
    if (file !== undefined) return file;
    throw new AppError('INTERNAL', {
      subject: formatTarget(live.id),
      detail: 'this Secret was not read by this cluster client',
    });
  }

  async function readMeta(id: TargetId): Promise<SecretMeta | undefined> {
    const file = await load(id);
    const meta = file && toMeta(file.raw, id.namespace);
    if (file === undefined || meta === undefined) return undefined;
    const data = [...file.live.data.keys()].sort(compareText);
    return { ...meta, ours: meta.ours && { ...meta.ours, data }, foreign: 'unknown' };
  }

  async function locked<T>(
    verb: Parameters<OnWrite>[0],
    id: TargetId,
    work: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    checkTarget(id);
    onWrite?.(verb);
    return withDiskErrors(formatTarget(id), async () => {
      await makeFolder(root);
      return withFolderLock(join(root, '.lock'), work, signal);
    });
  }

  return {
    address: root,
    inCluster: false,
    identities: undefined,
    workloads: undefined,
    configMaps: undefined,
    watch(scope, handlers) {
      const loadMeta = (secret: string) => readMeta({ namespace: scope.namespace, secret });
      return watches.add(watchFiles(root, scope, handlers, loadMeta));
    },
    watchNamespaces: (handlers) => watches.add(watchFolders(root, handlers)),
    async read(id) {
      const file = await withDiskErrors(formatTarget(id), () => load(id));
      if (file !== undefined) reads.set(file.live, file);
      return file?.live;
    },
    create(id, manifest, { signal, dryRun = false } = {}) {
      if (dryRun) return dryRunWrite(id, (current) => current === undefined);
      return locked(
        'create',
        id,
        async () => {
          await makeFolder(dirname(fileOf(root, id)));
          const raw = withOwnership(newSecret(id, manifest));
          const creationTimestamp = new Date(clock.now()).toISOString().replace(/\.\d+/, '');
          const metadata = { ...objectIn(raw, 'metadata'), creationTimestamp };
          return write(id, { ...raw, metadata }, newUid(), 1, true);
        },
        signal,
      );
    },
    async replace(live, change, { signal, dryRun = false } = {}) {
      if (dryRun) return dryRunWrite(live.id, (current) => current?.resourceVersion === live.resourceVersion);
      const before = readFileOf(live);
      const decide = async (): Promise<WriteResult> => {
        const current = await load(live.id);
        // Compare the bytes, because a manual edit may keep both the version counter and the file's modification time.
        if (current === undefined || !current.bytes.equals(before.bytes)) return { kind: 'conflict' };
        if (needsRecreation(live, change))
          throw new AppError('IMMUTABLE', { subject: formatTarget(live.id) });
        return rewrite(before, withOwnership(changedSecret(before.raw, change), before.raw));
      };
      return locked('update', live.id, decide, signal);
    },
    async remove(live, { signal, dryRun = false } = {}) {
      if (dryRun) {
        const { kind } = await dryRunWrite(
          live.id,
          (current) => current === undefined || current.resourceVersion === live.resourceVersion,
        );
        return kind === 'conflict' ? { kind } : { kind: 'removed' };
      }
      const before = readFileOf(live);
      const decide = async () => {
        const current = await load(live.id);
        if (current === undefined) return { kind: 'removed' } as const;
        if (!current.bytes.equals(before.bytes)) return { kind: 'conflict' } as const;
        await removeFile(fileOf(root, live.id));
        return { kind: 'removed' } as const;
      };
      return locked('delete', live.id, decide, signal);
    },
    async merge(live, manifest, { signal, dryRun = false } = {}) {
      if (dryRun) return dryRunWrite(live.id, (current) => current?.uid === live.uid);
      const decide = async () => {
        const current = await load(live.id);
        if (current === undefined) return { kind: 'missing' } as const;
        if (current.live.uid !== live.uid) return { kind: 'conflict' } as const;
        const merged = applyTo(current.raw, appliedSecret(live, manifest), manifest.manager);
        if (merged.kind === 'conflict') return merged;
        const after = toLive(merged.raw, live.id);
        if (after && needsRecreation(current.live, after))
          throw new AppError('IMMUTABLE', { subject: formatTarget(live.id) });
        return rewrite(current, merged.raw);
      };
      return locked('patch', live.id, decide, signal);
    },
    mergedKeys: (live, manager) => appliedIn(objectIn(readFileOf(live).raw, 'metadata') ?? {}, manager).data,
    exclusivelyOwned: (live, managers) =>
      exclusivelyOwnedIn(objectIn(readFileOf(live).raw, 'metadata') ?? {}, managers),
    async list(namespace, { name, value }) {
      checkNamespace(namespace);
      selectorOf({ [name]: value });
      return withDiskErrors(namespace, async () => {
        const matching: LiveSecret[] = [];
        for (const secret of await secretsIn(root, namespace)) {
          const file = await load({ namespace, secret });
          if (file?.live.labels[name] !== value) continue;
          reads.set(file.live, file);
          matching.push(file.live);
        }
        return matching;
      });
    },
    async namespaces(matchLabels) {
      selectorOf(matchLabels);
      return withDiskErrors(root, () => namespacesIn(root, matchLabels));
    },
    async ownSecret() {
      throw new AppError('CREDENTIAL_MISSING', {
        detail: 'secretRef needs a Kubernetes cluster: a directory has no namespace of its own',
      });
    },
    ownNamespace: () => undefined,
    checkAccess({ verb }) {
      const access = verb === 'get' || verb === 'list' ? constants.R_OK : constants.W_OK;
      return withDiskErrors(root, async () =>
        isAccessible(await nearestFolder(root), access | constants.X_OK),
      );
    },
    ping() {
      return withDiskErrors(root, async () => {
        const folder = await nearestFolder(root);
        if ((await stat(folder)).isDirectory()) return {};
        throw directoryUnavailable(`${folder} is not a folder`);
      });
    },
    [Symbol.asyncDispose]: () => watches[Symbol.asyncDispose](),
  };
}

function fileOf(root: string, { namespace, secret }: TargetId): string {
  return join(root, namespace, `${secret}.yaml`);
}
