import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../core/errors.ts';
import { isFolder, namesIn } from '../../core/folders.ts';
import { codeOf } from '../../core/system-errors.ts';
import { compareText, formatTarget, isNamespaceName, isSecretName } from '../../core/target.ts';
import type { NamespaceHandlers, SecretMeta, WatchHandlers, WatchScope } from '../cluster.ts';
import { checkScope, formatScope } from '../names.ts';
import { readWithMtime, withDiskErrors } from './disk.ts';
import { parseYaml } from './file.ts';
import { poll } from './poll.ts';

const YAML = '.yaml';

/** Files by Secret name. */
type ScannedFiles = ReadonlyMap<string, { readonly stamp: string; readonly meta: SecretMeta | undefined }>;

/**
 * Watches the files of a namespace. If a file cannot be loaded, its last known state stays, and `progress` reports the
 * error. Other files are not affected.
 * @param load Reads the metadata of a Secret from its file, without the content.
 */
export function watchFiles(
  root: string,
  scope: WatchScope,
  handlers: WatchHandlers,
  load: (secret: string) => Promise<SecretMeta | undefined>,
): AsyncDisposable {
  const { namespace, secret } = scope;
  checkScope(scope);
  const folder = join(root, namespace);
  let files: ScannedFiles = new Map();
  /** Load errors of the last scan, by Secret name. */
  let loadErrors: ReadonlyMap<string, AppError> = new Map();

  async function scanFile(
    name: string,
  ): Promise<[name: string, seen: NonNullable<ReturnType<ScannedFiles['get']>>][]> {
    const path = join(folder, name + YAML);
    const stamp = await stampOf(path);
    if (stamp === undefined) return [];
    const previous = files.get(name);
    if (previous?.stamp === stamp) return [[name, previous]];
    const file = await readWithMtime(path);
    // The folder may contain manifests of other kinds.
    const isOtherKind = file !== undefined && (parseYaml(file.bytes)?.kind ?? 'Secret') !== 'Secret';
    return [[name, { stamp, meta: isOtherKind ? undefined : await load(name) }]];
  }

  return poll<ReadonlyMap<string, SecretMeta>>({
    folder,
    async scan() {
      return withDiskErrors(formatScope(scope), async () => {
        const names = secret === undefined ? await secretNamesIn(folder) : [secret];
        const failed = new Map<string, AppError>();
        const scanned = await Promise.all(
          names.map(async (name) => {
            const subject = formatTarget({ namespace, secret: name });
            try {
              return await withDiskErrors(subject, () => scanFile(name));
            } catch (error) {
              if (!(error instanceof AppError)) throw error;
              failed.set(name, error);
              const previous = files.get(name);
              return previous === undefined ? [] : [[name, previous] as const];
            }
          }),
        );
        const newFailure = [...failed].find(([name]) => !loadErrors.has(name));
        loadErrors = failed;
        // Another process may be in the middle of a write. Throwing causes an immediate second scan, and only a second
        // failure is reported.
        if (newFailure !== undefined) throw newFailure[1];
        files = new Map(scanned.flat());
        return new Map([...files].flatMap(([name, { meta }]) => (meta === undefined ? [] : [[name, meta]])));
      });
    },
    onScan: (now, before) => notifyChanges(handlers, now, before),
    progress: (error) => handlers.progress(error ?? [...loadErrors.values()][0]),
  });
}

function notifyChanges(
  handlers: WatchHandlers,
  now: ReadonlyMap<string, SecretMeta>,
  before: ReadonlyMap<string, SecretMeta> | undefined,
): void {
  if (before === undefined) {
    handlers.listed([...now.values()]);
    return;
  }
  for (const [name, { id }] of before) if (!now.has(name)) handlers.deleted(id);
  for (const [name, meta] of now) if (!isDeepStrictEqual(meta, before.get(name))) handlers.changed(meta);
}

export function watchFolders(root: string, handlers: NamespaceHandlers): AsyncDisposable {
  return poll<ReadonlyMap<string, string>>({
    folder: root,
    scan: () => withDiskErrors(root, () => foldersIn(root)),
    onScan(now, before) {
      if (!isDeepStrictEqual(now, before)) handlers.changed();
    },
    progress: handlers.progress,
  });
}

/**
 * Returns the path of each folder and manifest that can define a namespace, with a text that changes when the file
 * changes.
 */
async function foldersIn(root: string): Promise<ReadonlyMap<string, string>> {
  const stamps = new Map<string, string>();
  for (const name of await namesIn(root)) {
    const path = join(root, name);
    const isManifest = name.endsWith(YAML) && isNamespaceName(name.slice(0, -YAML.length));
    if (isManifest) stamps.set(name, (await stampOf(path)) ?? '');
    else if (isNamespaceName(name) && (await isFolder(path))) stamps.set(name, '');
  }
  return stamps;
}

async function secretNamesIn(folder: string): Promise<readonly string[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(YAML));
  return names
    .map((name) => name.slice(0, -YAML.length))
    .filter(isSecretName)
    .sort(compareText);
}

/** Returns a text that changes when the file changes. `undefined`: the file does not exist. */
async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino}-${size}-${mtimeNs}-${ctimeNs}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
