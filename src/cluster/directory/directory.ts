import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { makeFolder, nearestFolder } from '../../core/folders.ts';
import { compareText, formatTarget, type TargetId } from '../../core/target.ts';
import type { Cluster, LiveSecret, SecretMeta, WriteResult } from '../cluster.ts';
import { applyTo, withOwnership } from '../field-owners.ts';
import { objectIn } from '../json.ts';
import { appliedIn, heldAloneIn } from '../managed-fields.ts';
import {
  appliedSecret,
  changedSecret,
  needsRecreation,
  newSecret,
  type RawSecret,
  toLive,
} from '../manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from '../names.ts';
import type { OnWrite } from '../on-write.ts';
import { createOpenWatches } from '../open-watches.ts';
import { toMeta } from '../secret-meta.ts';
import { allowed, putFile, readWithTime, removeFile, typed, unusable } from './disk.ts';
import { fromFile, toFile, versionOf } from './file.ts';
import { readKey, readOrMakeKey } from './key.ts';
import { namespacesIn, secretsIn } from './list.ts';
import { withFolderLock } from './lock.ts';
import { watchFiles, watchFolders } from './watch.ts';

export interface DirectoryClusterOptions {
  /** Made at the first write if it is not there. */
  readonly path: string;
  readonly clock: Clock;
  readonly newUid?: () => string;
  /** Called for each change that is asked for; not for a rehearsal. */
  readonly onWrite?: OnWrite | undefined;
}

interface ReadFile {
  readonly bytes: Buffer;
  readonly raw: RawSecret;
  readonly live: LiveSecret;
}

/**
 * The port over `PATH/<namespace>/<secret>.yaml`. A namespace is a folder, made when a Secret is created in it.
 * Folders get mode 0700, files 0600; each write is a new file that takes the old one's place at once, so a
 * crash leaves the old or the new.
 */
export function createDirectoryCluster(options: DirectoryClusterOptions): Cluster {
  const root = resolve(options.path);
  const { clock, newUid = randomUUID, onWrite } = options;
  const watches = createOpenWatches();
  const reads = new WeakMap<LiveSecret, ReadFile>();

  async function load(id: TargetId): Promise<ReadFile | undefined> {
    checkTarget(id);
    const found = await readWithTime(fileOf(root, id));
    if (found === undefined) return undefined;
    const raw = fromFile(found.bytes, id, found.modified, await readKey(root));
    const live = raw && toLive(raw, id);
    if (raw === undefined || live === undefined) {
      const file = fileOf(root, id);
      throw unusable(`${file} is not a manifest of this Secret`, { file });
    }
    return { bytes: found.bytes, raw, live };
  }

  /** As far as reading and rights go: a folder has no more to say. */
  function rehearse(id: TargetId, isFit: (now: LiveSecret | undefined) => boolean): Promise<WriteResult> {
    return typed(formatTarget(id), async () => {
      await access(await nearestFolder(dirname(fileOf(root, id))), constants.W_OK | constants.X_OK);
      const now = await load(id);
      return isFit(now?.live) ? { kind: 'written', resourceVersion: '0' } : { kind: 'conflict' };
    });
  }

  async function write(id: TargetId, raw: RawSecret, uid: string, version: number, exclusive: boolean) {
    const written = await putFile(fileOf(root, id), await textOf(raw, uid, version), exclusive);
    if (written === undefined) return { kind: 'conflict' } as const;
    return { kind: 'written', resourceVersion: `${version}-${written.toString(36)}` } as const;
  }

  async function textOf(raw: RawSecret, uid: string, version: number): Promise<string> {
    return toFile(raw, uid, version, await readOrMakeKey(root));
  }

  /** What changes nothing moves no version, as an API server does it. */
  async function rewrite({ bytes, raw: before, live }: ReadFile, raw: RawSecret) {
    if ((await textOf(raw, live.uid, versionOf(before))) === bytes.toString('utf8')) {
      return { kind: 'written', resourceVersion: live.resourceVersion } as const;
    }
    return write(live.id, raw, live.uid, versionOf(before) + 1, false);
  }

  function known(live: LiveSecret): ReadFile {
    const file = reads.get(live);
    if (file !== undefined) return file;
    throw new AppError('INTERNAL', { about: formatTarget(live.id), detail: 'it was not read here' });
  }

  async function metaOf(id: TargetId): Promise<SecretMeta | undefined> {
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
    return typed(formatTarget(id), async () => {
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
      const loadMeta = (secret: string) => metaOf({ namespace: scope.namespace, secret });
      return watches.add(watchFiles(root, scope, handlers, loadMeta));
    },
    watchNamespaces: (handlers) => watches.add(watchFolders(root, handlers)),
    async read(id) {
      const file = await typed(formatTarget(id), () => load(id));
      if (file !== undefined) reads.set(file.live, file);
      return file?.live;
    },
    create(id, manifest, { signal, dryRun = false } = {}) {
      if (dryRun) return rehearse(id, (now) => now === undefined);
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
      if (dryRun) return rehearse(live.id, (now) => now?.resourceVersion === live.resourceVersion);
      const before = known(live);
      const decide = async (): Promise<WriteResult> => {
        const now = await load(live.id);
        // The bytes themselves: they show an edit by hand that no counter and no clock would.
        if (now === undefined || !now.bytes.equals(before.bytes)) return { kind: 'conflict' };
        if (needsRecreation(live, change)) throw new AppError('IMMUTABLE', { about: formatTarget(live.id) });
        return rewrite(before, withOwnership(changedSecret(before.raw, change), before.raw));
      };
      return locked('update', live.id, decide, signal);
    },
    async remove(live, { signal, dryRun = false } = {}) {
      if (dryRun) {
        const { kind } = await rehearse(
          live.id,
          (now) => now === undefined || now.resourceVersion === live.resourceVersion,
        );
        return kind === 'conflict' ? { kind } : { kind: 'removed' };
      }
      const before = known(live);
      const decide = async () => {
        const now = await load(live.id);
        if (now === undefined) return { kind: 'removed' } as const;
        if (!now.bytes.equals(before.bytes)) return { kind: 'conflict' } as const;
        await removeFile(fileOf(root, live.id));
        return { kind: 'removed' } as const;
      };
      return locked('delete', live.id, decide, signal);
    },
    async merge(live, manifest, { signal, dryRun = false } = {}) {
      if (dryRun) return rehearse(live.id, (now) => now?.uid === live.uid);
      const decide = async () => {
        const now = await load(live.id);
        if (now === undefined) return { kind: 'missing' } as const;
        if (now.live.uid !== live.uid) return { kind: 'conflict' } as const;
        const merged = applyTo(now.raw, appliedSecret(live, manifest), manifest.manager);
        if (merged.kind === 'conflict') return merged;
        const after = toLive(merged.raw, live.id);
        if (after && needsRecreation(now.live, after))
          throw new AppError('IMMUTABLE', { about: formatTarget(live.id) });
        return rewrite(now, merged.raw);
      };
      return locked('patch', live.id, decide, signal);
    },
    mergedKeys: (live, manager) => appliedIn(objectIn(known(live).raw, 'metadata') ?? {}, manager).data,
    heldAlone: (live, managers) => heldAloneIn(objectIn(known(live).raw, 'metadata') ?? {}, managers),
    async list(namespace, { name, value }) {
      checkNamespace(namespace);
      selectorOf({ [name]: value });
      return typed(namespace, async () => {
        const found: LiveSecret[] = [];
        for (const secret of await secretsIn(root, namespace)) {
          const file = await load({ namespace, secret });
          if (file?.live.labels[name] !== value) continue;
          reads.set(file.live, file);
          found.push(file.live);
        }
        return found;
      });
    },
    async namespaces(matchLabels) {
      selectorOf(matchLabels);
      return typed(root, () => namespacesIn(root, matchLabels));
    },
    async ownSecret() {
      throw new AppError('CREDENTIAL_MISSING', {
        detail: 'a directory has no namespace of its own for secretRef',
      });
    },
    ownNamespace: () => undefined,
    may({ verb }) {
      const access = verb === 'get' || verb === 'list' ? constants.R_OK : constants.W_OK;
      return typed(root, async () => allowed(await nearestFolder(root), access | constants.X_OK));
    },
    ping() {
      return typed(root, async () => {
        const folder = await nearestFolder(root);
        if ((await stat(folder)).isDirectory()) return {};
        throw unusable(`${folder} is not a folder`);
      });
    },
    [Symbol.asyncDispose]: () => watches[Symbol.asyncDispose](),
  };
}

function fileOf(root: string, { namespace, secret }: TargetId): string {
  return join(root, namespace, `${secret}.yaml`);
}
