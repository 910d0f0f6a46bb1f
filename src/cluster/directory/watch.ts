import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../core/errors.ts';
import { isFolder, namesIn } from '../../core/folders.ts';
import { isNamespaceName, isSecretName } from '../../core/kubernetes-names.ts';
import { codeOf } from '../../core/system-errors.ts';
import { compareText, formatTarget } from '../../core/target.ts';
import type { NamespaceHandlers, SecretMeta, WatchHandlers, WatchScope } from '../cluster.ts';
import { checkScope, formatScope } from '../names.ts';
import { readWithTime, typed } from './disk.ts';
import { parseYaml } from './file.ts';
import { poll } from './poll.ts';

const YAML = '.yaml';

/** By name. */
type Seen = ReadonlyMap<string, { readonly stamp: string; readonly meta: SecretMeta | undefined }>;

/**
 * A file that cannot be loaded hides no other: it is taken for what it was, and `progress` says so.
 * @param load What stands in the file of a Secret, without its content.
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
  let known: Seen = new Map();
  /** What could not be loaded at the last look. */
  let broken: ReadonlyMap<string, AppError> = new Map();

  async function lookAt(name: string): Promise<[name: string, seen: NonNullable<ReturnType<Seen['get']>>][]> {
    const path = join(folder, name + YAML);
    const stamp = await stampOf(path);
    if (stamp === undefined) return [];
    const before = known.get(name);
    if (before?.stamp === stamp) return [[name, before]];
    const file = await readWithTime(path);
    // Manifests of other kinds may lie there too.
    const other = file !== undefined && (parseYaml(file.bytes)?.kind ?? 'Secret') !== 'Secret';
    return [[name, { stamp, meta: other ? undefined : await load(name) }]];
  }

  return poll<ReadonlyMap<string, SecretMeta>>({
    folder,
    async look() {
      return typed(formatScope(scope), async () => {
        const names = secret === undefined ? await secretNamesIn(folder) : [secret];
        const failed = new Map<string, AppError>();
        const found = await Promise.all(
          names.map(async (name) => {
            const about = formatTarget({ namespace, secret: name });
            try {
              return await typed(about, () => lookAt(name));
            } catch (error) {
              if (!(error instanceof AppError)) throw error;
              failed.set(name, error);
              const before = known.get(name);
              return before === undefined ? [] : [[name, before] as const];
            }
          }),
        );
        const news = [...failed].find(([name]) => !broken.has(name));
        broken = failed;
        // Somebody may be in the middle of a write: the next look comes at once, and then it counts.
        if (news !== undefined) throw news[1];
        known = new Map(found.flat());
        return new Map([...known].flatMap(([name, { meta }]) => (meta === undefined ? [] : [[name, meta]])));
      });
    },
    seen: (now, before) => tell(handlers, now, before),
    progress: (error) => handlers.progress(error ?? [...broken.values()][0]),
  });
}

function tell(
  handlers: WatchHandlers,
  now: ReadonlyMap<string, SecretMeta>,
  before: ReadonlyMap<string, SecretMeta> | undefined,
): void {
  if (before === undefined) {
    handlers.listed([...now.values()]);
    return;
  }
  for (const [name, { id }] of before) if (!now.has(name)) handlers.gone(id);
  for (const [name, meta] of now) if (!isDeepStrictEqual(meta, before.get(name))) handlers.changed(meta);
}

export function watchFolders(root: string, handlers: NamespaceHandlers): AsyncDisposable {
  return poll<ReadonlyMap<string, string>>({
    folder: root,
    look: () => typed(root, () => foldersIn(root)),
    seen(now, before) {
      if (!isDeepStrictEqual(now, before)) handlers.changed();
    },
    progress: handlers.progress,
  });
}

/** The folders and manifests that can make a namespace, each with what changes when it does. */
async function foldersIn(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of await namesIn(root)) {
    const path = join(root, name);
    const isManifest = name.endsWith(YAML) && isNamespaceName(name.slice(0, -YAML.length));
    if (isManifest) found.set(name, (await stampOf(path)) ?? '');
    else if (isNamespaceName(name) && (await isFolder(path))) found.set(name, '');
  }
  return found;
}

async function secretNamesIn(folder: string): Promise<readonly string[]> {
  const names = (await namesIn(folder)).filter((name) => name.endsWith(YAML));
  return names
    .map((name) => name.slice(0, -YAML.length))
    .filter(isSecretName)
    .sort(compareText);
}

/** Changes with the file; `undefined`: there is none. */
async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino}-${size}-${mtimeNs}-${ctimeNs}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
