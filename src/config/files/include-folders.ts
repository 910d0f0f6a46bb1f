import { dirname, isAbsolute, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { matches } from '../../core/glob.ts';
import { isObject } from '../../core/json.ts';
import { formatSelector, type LabelSelector } from '../../core/label-selector.ts';
import { append } from '../../core/lists.ts';
import { compareText } from '../../core/target.ts';
import { type Place, quoted } from '../problem.ts';
import { absolutePath } from '../resolve.ts';
import { boundsIn, Include } from '../shape/include.ts';
import {
  configMapsIn,
  foundFolders,
  isNamed,
  type NamespaceFolder,
  namedFolders,
  pathOf,
} from './config-maps.ts';
import { type ConfigFs, expandFolders, type SourceFile } from './files.ts';
import { locate, type PlacedFinding } from './merge.ts';
import { listOf, textOf } from './raw.ts';
import type { Located } from './yaml.ts';

/** The limits that an `include` sets for the mappings of its files. */
export interface Bound {
  readonly rule: Include;
  /** The place of the `include` entry. */
  readonly place: Place;
}

export interface FolderDeps {
  readonly fs: ConfigFs;
  readonly home: string | undefined;
  /** The main files. Their mappings have no bounds. */
  readonly main: readonly SourceFile[];
  /** Whether the file system shows the ConfigMaps that `include` selects. Otherwise they are left out. */
  readonly hasConfigMaps: boolean;
}

/** The files of an `include`, or the ConfigMaps of one namespace. Its files share the limits of the `include`. */
export interface Folder {
  readonly source: SourceFile;
  /** Names the folder in the caches and limits of files of tenants. */
  readonly tenant: string;
  readonly bound: Bound | undefined;
  /** The place and the path of the `include`. */
  readonly at: PlacedPath;
  /** Set for ConfigMaps. */
  readonly namespace?: string;
  list(maxFiles: number): Promise<Listed>;
}

interface PlacedPath {
  readonly place: Place;
  readonly path: readonly (string | number)[];
}

interface Listed {
  readonly files: readonly SourceFile[];
  readonly failures: readonly Failure[];
}

/** The reason why a folder or a file of it cannot be listed. */
export type Failure = Pick<PlacedFinding, 'code' | 'message' | 'suggestion'>;

/** Returns the folders that the `include` section names or selects, in its order. */
export async function includeFolders(root: Located, deps: FolderDeps): Promise<readonly Folder[]> {
  const folders: Folder[] = [];
  const earlier: Include[] = [];
  for (const [index, entry] of listOf(root, 'include').entries()) {
    const rule = parsedRule(entry);
    const place = locate(root, ['include', index]);
    const path = textOf(entry, 'path');
    if (rule?.configMaps !== undefined) {
      const at = placedPath(root, index, 'configMaps');
      const include = { rule, selector: rule.configMaps, place, at };
      if (deps.hasConfigMaps) append(folders, await configMapFolders(include, earlier, deps));
      earlier.push(rule);
    } else if (path !== undefined && path !== '') {
      const at = placedPath(root, index, 'path');
      folders.push(folderAt(path, { at, bound: rule && { rule, place } }, deps));
    }
  }
  return folders;
}

/** The rules of the entries. An unchanged entry keeps its rule, so that later loads recognize what depends on it. */
const rules = new WeakMap<object, { readonly rule: Include | undefined }>();

function parsedRule(entry: unknown): Include | undefined {
  const known = isObject(entry) ? rules.get(entry) : undefined;
  if (known !== undefined) return known.rule;
  const rule = Include.safeParse(entry).data;
  if (isObject(entry)) rules.set(entry, { rule });
  return rule;
}

function placedPath(root: Located, index: number, field: string): PlacedPath {
  const path = ['include', index, field];
  return { place: locate(root, path), path };
}

function folderAt(path: string, { at, bound }: Pick<Folder, 'at' | 'bound'>, deps: FolderDeps): Folder {
  const source = sourceOf(path, at.place, deps);
  return {
    ...{ source, tenant: path, bound, at },
    async list(maxFiles) {
      const { files, problems } = await expandFolders([source], deps.fs, maxFiles);
      return {
        files,
        failures: problems.map(({ file, code, message }) => ({
          code,
          message: `${quoted(file)}: ${message}`,
        })),
      };
    },
  };
}

interface ConfigMapInclude {
  readonly rule: Include;
  readonly selector: LabelSelector;
  readonly place: Place;
  readonly at: PlacedPath;
}

/**
 * Returns a folder for each namespace with ConfigMaps, because each namespace has bounds of its own.
 *
 * @param earlier The earlier entries of `include` for ConfigMaps.
 */
async function configMapFolders(
  { rule, selector, place, at }: ConfigMapInclude,
  earlier: readonly Include[],
  { fs }: FolderDeps,
): Promise<readonly Folder[]> {
  const { namespaces: globs } = rule;
  const toFolder = ({ namespace, ...source }: NamespaceFolder): Folder => {
    const covers = ({ namespaces }: Include) => namespaces.some((glob) => matches(glob, namespace));
    const own = boundsIn(namespace, rule, earlier.filter(covers).length);
    return {
      ...{ source, tenant: own.path, bound: { rule: own, place }, at, namespace },
      list: (maxFiles) => listConfigMaps({ source, namespace, maxFiles }, fs),
    };
  };
  const byName = (folders: readonly NamespaceFolder[]) =>
    folders.toSorted((a, b) => compareText(a.namespace, b.namespace)).map(toFolder);
  const named = namedFolders(selector, globs);
  try {
    return byName([...named, ...(await foundFolders(selector, globs, fs))]);
  } catch (error) {
    const absolute = pathOf({ selector: formatSelector(selector) });
    const source = { shown: `configmap:${globs.filter((glob) => !isNamed(glob)).join(',')}`, absolute };
    const failures = [failureOf(error, 'the namespaces with ConfigMaps cannot be found')];
    const list = async () => ({ files: [], failures });
    return [...byName(named), { source, tenant: source.shown, bound: { rule, place }, at, list }];
  }
}

async function listConfigMaps(
  { source, namespace, maxFiles }: { source: SourceFile; namespace: string; maxFiles: number },
  fs: ConfigFs,
): Promise<Listed> {
  const what = `the ConfigMaps of the namespace ${quoted(namespace)}`;
  try {
    const files = await configMapsIn(source, fs);
    if (files.length <= maxFiles) return { files, failures: [] };
    const message = `${what} are ${files.length}; at most ${maxFiles} are allowed`;
    return { files: [], failures: [{ code: 'LIMIT_REACHED', message }] };
  } catch (error) {
    return { files: [], failures: [failureOf(error, `${what} cannot be listed`)] };
  }
}

function failureOf(thrown: unknown, what: string): Failure {
  if (!(thrown instanceof AppError)) throw thrown;
  return { code: thrown.code, message: `${what}: ${thrown.message}`, suggestion: thrown.remedy };
}

/** Resolves the path of an `include` relative to the file that contains it. */
function sourceOf(path: string, place: Place, { home, main }: FolderDeps): SourceFile {
  const naming = main.find(({ shown }) => shown === place.file);
  const folder = dirname(naming?.absolute ?? place.file);
  const shown = isAbsolute(path) || path.startsWith('~/') ? path : join(dirname(place.file), path);
  return { shown, absolute: absolutePath(path, folder, home) };
}
