import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { type Cluster, FIELD_MANAGER, type LiveSecret, type WriteResult } from './cluster.ts';
import { allowed, makeFolder, nearestFolder, putFile, readWithTime, typed } from './directory-disk.ts';
import { fromFile, toFile, versionOf } from './directory-file.ts';
import { withFolderLock } from './directory-lock.ts';
import { objectIn } from './json.ts';
import { managedFieldsOf, ownershipAfter } from './managed-fields.ts';
import { changedSecret, needsRecreation, newSecret, type RawSecret, toLive } from './manifest.ts';
import { checkTarget } from './names.ts';

export interface DirectoryClusterOptions {
  /** Made at the first write if it is not there. */
  readonly path: string;
  readonly clock: Clock;
  readonly newUid?: () => string;
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
  const { clock, newUid = randomUUID } = options;
  const reads = new WeakMap<LiveSecret, ReadFile>();

  async function load(id: TargetId): Promise<ReadFile | undefined> {
    checkTarget(id);
    const found = await readWithTime(fileOf(root, id));
    if (found === undefined) return undefined;
    const raw = fromFile(found.bytes, id, found.modified);
    const live = raw && toLive(raw, id);
    if (raw === undefined || live === undefined) {
      throw new AppError('CLUSTER_UNAVAILABLE', {
        detail: `${fileOf(root, id)} is not a manifest of this Secret`,
      });
    }
    return { bytes: found.bytes, raw, live };
  }

  async function rehearse(id: TargetId): Promise<WriteResult> {
    const there = await typed(formatTarget(id), () => load(id));
    return there === undefined ? { kind: 'written', resourceVersion: '0' } : { kind: 'conflict' };
  }

  async function write(id: TargetId, raw: RawSecret, uid: string, version: number, exclusive: boolean) {
    const written = await putFile(fileOf(root, id), toFile(raw, uid, version), exclusive);
    if (written === undefined) return { kind: 'conflict' } as const;
    return { kind: 'written', resourceVersion: `${version}-${written.toString(36)}` } as const;
  }

  async function locked<T>(id: TargetId, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    checkTarget(id);
    return typed(formatTarget(id), async () => {
      await makeFolder(dirname(fileOf(root, id)));
      return withFolderLock(join(root, '.lock'), work, signal);
    });
  }

  return {
    address: root,
    inCluster: false,
    async read(id) {
      const file = await typed(formatTarget(id), () => load(id));
      if (file !== undefined) reads.set(file.live, file);
      return file?.live;
    },
    create(id, manifest, { signal, dryRun = false } = {}) {
      if (dryRun) return rehearse(id);
      return locked(
        id,
        async () => {
          const raw = owned(newSecret(id, manifest));
          const creationTimestamp = new Date(clock.now()).toISOString().replace(/\.\d+/, '');
          const metadata = { ...objectIn(raw, 'metadata'), creationTimestamp };
          return write(id, { ...raw, metadata }, newUid(), 1, true);
        },
        signal,
      );
    },
    async replace(live, change, { signal } = {}) {
      const known = reads.get(live);
      if (known === undefined)
        throw new AppError('INTERNAL', { detail: 'replace of a Secret that was not read here' });
      const decide = async (): Promise<WriteResult> => {
        const now = await load(live.id);
        // The bytes themselves: they show an edit by hand that no counter and no clock would.
        if (now === undefined || !now.bytes.equals(known.bytes)) return { kind: 'conflict' };
        if (needsRecreation(live, change)) throw new AppError('IMMUTABLE', { about: formatTarget(live.id) });
        const raw = owned(changedSecret(known.raw, change), live);
        // As an API server does it: what changes nothing moves no version.
        if (toFile(raw, live.uid, versionOf(known.raw)) === known.bytes.toString('utf8')) {
          return { kind: 'written', resourceVersion: live.resourceVersion };
        }
        return write(live.id, raw, live.uid, versionOf(known.raw) + 1, false);
      };
      return locked(live.id, decide, signal);
    },
    async ownSecret() {
      throw new AppError('CREDENTIAL_MISSING', {
        detail: 'a directory has no namespace of its own for secretRef',
      });
    },
    ownNamespace: () => undefined,
    may({ verb }) {
      const access = verb === 'get' ? constants.R_OK : constants.W_OK;
      return typed(root, async () => allowed(await nearestFolder(root), access | constants.X_OK));
    },
    ping() {
      return typed(root, async () => {
        const folder = await nearestFolder(root);
        if ((await stat(folder)).isDirectory()) return {};
        throw new AppError('CLUSTER_UNAVAILABLE', { detail: `${folder} is not a folder` });
      });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Nothing in a file system says who wrote a label, so it is noted. */
function owned(raw: RawSecret, before?: LiveSecret): RawSecret {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const after = {
    labels: objectIn(metadata, 'labels') ?? {},
    annotations: objectIn(metadata, 'annotations') ?? {},
  };
  const ownership = ownershipAfter(before?.ours, before ?? { labels: {}, annotations: {} }, after);
  return { ...raw, metadata: { ...metadata, managedFields: managedFieldsOf(ownership, FIELD_MANAGER) } };
}

function fileOf(root: string, { namespace, secret }: TargetId): string {
  return join(root, namespace, `${secret}.yaml`);
}
