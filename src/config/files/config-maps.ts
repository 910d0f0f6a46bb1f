import { matches } from '../../core/glob.ts';
import { formatSelector, type LabelSelector } from '../../core/label-selector.ts';
import { compareText } from '../../core/target.ts';
import type { Config } from '../config.ts';
import { quoted } from '../problem.ts';
import type { ConfigFs, SourceFile } from './files.ts';

// A ConfigMap is a file `configmap:/<selector>/<namespace>/<name>`. So everything that reads, compares and watches files
// does the same with ConfigMaps. No path on the disk starts like this, because absolute paths start with `/`.

/** What one `include` selects. */
export interface Selection {
  readonly selector: LabelSelector;
  /** Globs of the namespaces. */
  readonly namespaces: readonly string[];
  /** The maximum size of the mappings of one namespace. Longer contents are not kept in memory. */
  readonly maxBytes: number;
}

/** Reads the ConfigMaps that the `include` section selects. They appear as files in a file system. */
export interface ConfigMapSource {
  /**
   * Called in each load, before the ConfigMaps are listed. Resolves when the file system shows the ConfigMaps of all
   * selections, or an error instead of them.
   */
  select(cluster: Config['cluster'], selections: readonly Selection[]): Promise<void>;
}

/** The key of a ConfigMap that contains the mappings. */
const MAPPINGS_KEY = 'mappings.yaml';
/** More names would make the message hard to read. */
const MAX_KEYS = 3;

/** Returns the mappings of a ConfigMap, or what is wrong with the ConfigMap. */
export function textIn(
  data: ReadonlyMap<string, string>,
  binaryKeys: readonly string[],
): { readonly text: string } | { readonly problem: string } {
  const text = data.get(MAPPINGS_KEY);
  const others = [...data.keys(), ...binaryKeys].filter((key) => key !== MAPPINGS_KEY);
  const more = others.length > MAX_KEYS ? ` and ${others.length - MAX_KEYS} more` : '';
  const keys = others
    .slice(0, MAX_KEYS)
    .map((key) => quoted(key))
    .join(', ');
  if (binaryKeys.includes(MAPPINGS_KEY))
    return { problem: '`mappings.yaml` is in `binaryData`; write it as text in `data`' };
  if (text === undefined) {
    const found = others.length === 0 ? 'the ConfigMap is empty' : `the ConfigMap has ${keys}${more}`;
    return { problem: `the key \`mappings.yaml\` is missing; ${found}` };
  }
  if (others.length === 0) return { text };
  return {
    problem: `only the key \`mappings.yaml\` is read; move ${keys}${more} to another ConfigMap without the labels`,
  };
}

const ROOT = 'configmap:';

/** The place of a ConfigMap, or of a folder of ConfigMaps. */
export interface ConfigMapPath {
  /** The selector, as `formatSelector` formats it. */
  readonly selector: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** The folder of a selector contains a folder for each namespace, with the ConfigMaps in it. */
export function pathOf({ selector, namespace, name }: ConfigMapPath): string {
  return [
    `${ROOT}/${encodeURIComponent(selector)}`,
    ...(namespace === undefined ? [] : [namespace]),
    ...(name === undefined ? [] : [name]),
  ].join('/');
}

/** Whether a path is a ConfigMap or a folder of ConfigMaps. */
export function isConfigMapPath(path: string): boolean {
  return path.startsWith(`${ROOT}/`);
}

/** Returns undefined for a path on the disk. */
export function parsePath(path: string): ConfigMapPath | undefined {
  if (!isConfigMapPath(path)) return undefined;
  const [selector = '', namespace, name] = path.slice(ROOT.length + 1).split('/');
  return {
    selector: decodeURIComponent(selector),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
  };
}

/** Returns the path of a ConfigMap as users see it, such as `configmap:shop/app`. */
export function shownPath({
  namespace,
  name,
}: {
  readonly namespace: string;
  readonly name: string;
}): string {
  return `${ROOT}${namespace}/${name}`;
}

/** Returns the ConfigMap of a path as users see it, such as `configmap:shop/app`. Undefined for files. */
export function parseShown(path: string): { readonly namespace: string; readonly name: string } | undefined {
  const [, namespace = '', name = ''] = /^configmap:([^/]+)\/([^/]+)$/.exec(path) ?? [];
  return name === '' ? undefined : { namespace, name };
}

export type NamespaceFolder = SourceFile & { readonly namespace: string };

/** Returns the folders of the namespaces that are named without a pattern. They need not exist. */
export function namedFolders(selector: LabelSelector, globs: readonly string[]): readonly NamespaceFolder[] {
  return [...new Set(globs)].filter(isNamed).map((namespace) => folderOf(selector, namespace));
}

/** Returns the folders of the other namespaces. @throws AppError if they cannot be found */
export async function foundFolders(
  selector: LabelSelector,
  globs: readonly string[],
  fs: ConfigFs,
): Promise<readonly NamespaceFolder[]> {
  if (globs.every(isNamed)) return [];
  const found = await fs.readdir(pathOf({ selector: formatSelector(selector) }));
  return found
    .filter((namespace) => !globs.includes(namespace) && globs.some((glob) => matches(glob, namespace)))
    .map((namespace) => folderOf(selector, namespace));
}

/** Whether a glob is the name of one namespace. */
export function isNamed(glob: string): boolean {
  return !glob.includes('*');
}

function folderOf(selector: LabelSelector, namespace: string): NamespaceFolder {
  const absolute = pathOf({ selector: formatSelector(selector), namespace });
  return { namespace, shown: `${ROOT}${namespace}`, absolute };
}

/** Returns the ConfigMaps in the folder of a namespace. @throws AppError if they cannot be listed */
export async function configMapsIn(folder: SourceFile, fs: ConfigFs): Promise<readonly SourceFile[]> {
  const names = [...(await fs.readdir(folder.absolute))].sort(compareText);
  return names.map((name) => ({ shown: `${folder.shown}/${name}`, absolute: `${folder.absolute}/${name}` }));
}
