import { append } from '../../core/lists.ts';
import { formatPlace, type Place, type Problem, quoted, toProblem } from '../problem.ts';
import type { Include } from '../shape/include.ts';
import { isConfigMapPath } from './config-maps.ts';
import { type ConfigFs, leadsOut, type ReadFile, readSize, type SourceFile } from './files.ts';
import { type Bound, type Failure, type Folder, type FolderDeps, includeFolders } from './include-folders.ts';
import type { PlacedFinding } from './merge.ts';
import { type ReadDeps, readFiles } from './read.ts';
import type { Located } from './yaml.ts';

export type { Bound } from './include-folders.ts';

/** A file that an `include` names, or the path itself if its files cannot be listed. */
export interface IncludedFile {
  readonly source: SourceFile;
  /** The absolute path of the `include`: of this file, or of its folder. */
  readonly from: string;
  /** `undefined` if the `include` entry is invalid, which makes the whole configuration invalid. */
  readonly bound: Bound | undefined;
  readonly mappings: readonly Located[];
  /** Problems for which the file cannot be used. */
  readonly problems: readonly Problem[];
  readonly text: string;
}

export interface Included {
  readonly files: readonly IncludedFile[];
  /** Problems of the `include` section itself. */
  readonly findings: readonly PlacedFinding[];
}

export type IncludeDeps = ReadDeps & FolderDeps;

/** Reads the files that tenants write. These files may contain only mappings. Each file has problems of its own. */
export async function readIncludes(root: Located, deps: IncludeDeps): Promise<Included> {
  const files: IncludedFile[] = [];
  const findings: PlacedFinding[] = [];
  const seen = { main: new Set(deps.main.map(({ absolute }) => absolute)), readAt: new Map<string, Place>() };
  for (const folder of await includeFolders(root, deps)) {
    const read = await readFolder(folder, seen, deps);
    append(files, read.files);
    append(findings, read.findings);
  }
  return { files, findings };
}

/** The paths of the main files, and for each file that was read, the place of its `include`. */
interface SeenFiles {
  readonly main: ReadonlySet<string>;
  readonly readAt: Map<string, Place>;
}

/** Returns a file, or a folder that cannot be listed, with its problem. */
function unusable(
  { source: { absolute }, bound, at }: Pick<Folder, 'source' | 'bound' | 'at'>,
  source: SourceFile,
  failure: Failure,
): IncludedFile {
  const problem = toProblem({ path: at.path, ...failure }, at.place);
  return { from: absolute, bound, source, mappings: [], problems: [problem], text: '' };
}

async function readFolder(folder: Folder, { main, readAt }: SeenFiles, deps: IncludeDeps): Promise<Included> {
  const { source, bound, tenant, at, namespace } = folder;
  const files: IncludedFile[] = [];
  const findings: PlacedFinding[] = [];
  const refuse = (file: SourceFile, message: string) =>
    files.push(unusable(folder, file, { code: 'CONFIG_INVALID', message }));
  const room = roomOf(bound?.rule);
  const { files: listed, failures } = await folder.list(room.files);
  for (const failure of failures) files.push(unusable(folder, source, failure));
  const unread: SourceFile[] = [];
  for (const file of listed) {
    const id = namespace === undefined ? file.absolute : file.shown;
    const twice = `${quoted(file.shown)} is read twice: also `;
    const earlier = readAt.get(id);
    // The operator expects bounds for this file, but the main configuration reads it without bounds.
    if (main.has(file.absolute))
      findings.push(refusal(at.place, at.path, `${twice}as a main file, without bounds`));
    else if (earlier !== undefined) {
      // Two selectors may match one ConfigMap. Only the first entry reads it.
      if (namespace === undefined) refuse(file, `${twice}by the \`include\` at ${formatPlace(earlier)}`);
    } else {
      const message = await room.refuse(file, source, deps.fs);
      if (message === undefined) unread.push(file);
      else refuse(file, message);
    }
    readAt.set(id, earlier ?? at.place);
  }
  for (const read of await readMappings(unread, bound, { ...deps, tenant, namespace }))
    files.push({ from: source.absolute, bound, ...read });
  return { files, findings };
}

async function readMappings(
  sources: readonly SourceFile[],
  bound: Bound | undefined,
  deps: ReadDeps,
): Promise<readonly FileContent[]> {
  const maxValues = Math.max(MIN_VALUES, VALUES_PER_KEY * (bound?.rule.limits.keysPerMapping ?? 0));
  const read = await readFiles(sources, deps);
  return read.map((file) => {
    const known = contents.get(file);
    const content = known?.maxValues === maxValues ? known.content : contentOf(file, maxValues);
    contents.set(file, { maxValues, content });
    return content;
  });
}

type FileContent = Omit<IncludedFile, 'from' | 'bound'>;

/** What the files contain. A file that has not changed since the previous load has the same content. */
const contents = new WeakMap<ReadFile, { readonly maxValues: number; readonly content: FileContent }>();

function contentOf({ source, documents, problems, text = '' }: ReadFile, maxValues: number): FileContent {
  const parts = documents.map((document) => mappingsOf(document, maxValues));
  const [part] = parts;
  const refused = parts.flatMap((part) => part.refused);
  return {
    source,
    // There are thousands of files, and the list of a single document needs no copy.
    mappings: part !== undefined && parts.length === 1 ? part.items : parts.flatMap(({ items }) => items),
    problems: [...problems, ...refused.map((finding) => toProblem(finding, finding.place))],
    text,
  };
}

const MIN_FILES = 1_000;
const MIN_BYTES = 4 * 1024 ** 2;
const BYTES_PER_MAPPING = 8 * 1024;

/** The maximum size of the files of an `include`. */
export function maxBytesOf(rule: Include | undefined): number {
  return Math.max(MIN_BYTES, BYTES_PER_MAPPING * (rule?.limits.mappings ?? 0));
}

/** Limits the files of one `include` together, because parsed values take fifteen times the size of the file. */
function roomOf(rule: Include | undefined) {
  const maxBytes = maxBytesOf(rule);
  let bytes = 0;
  return {
    files: Math.max(MIN_FILES, rule?.limits.mappings ?? 0),
    /** Returns why a file must not be read. A tenant could link to a file of another tenant or of the operator. */
    async refuse(file: SourceFile, from: SourceFile, fs: ConfigFs): Promise<string | undefined> {
      const mayBeLink = file.absolute !== from.absolute && !isConfigMapPath(file.absolute);
      if (mayBeLink && (await leadsOut(file, fs)))
        return `${quoted(file.shown)} is a link that leads out of the folder of the \`include\``;
      bytes += await readSize(file, fs);
      if (bytes <= maxBytes) return undefined;
      const limit = `${Math.floor(maxBytes / 1024 ** 2)} MiB`;
      return `${quoted(file.shown)}: the files of this \`include\` have more than ${limit} together`;
    },
  };
}

/** The limit for the values in one mapping. A mapping with 200 keys has about 1,500. */
const MIN_VALUES = 10_000;
const VALUES_PER_KEY = 50;

function mappingsOf(
  document: Located,
  maxValues: number,
): { readonly items: readonly Located[]; readonly refused: readonly PlacedFinding[] } {
  if (document.isUnclear) return { items: [], refused: [] };
  if (document.members === undefined)
    return { items: [], refused: [refusal(document.place, [], 'expected an object with `mappings`')] };
  const refused: PlacedFinding[] = [];
  let items: readonly Located[] = [];
  for (const [name, { keyPlace, node }] of document.members) {
    if (name === 'mappings') {
      if (node.items !== undefined) {
        const message = `a mapping of an included file may have at most ${maxValues} values`;
        const large = node.items.filter((item) => isLarge(item, maxValues));
        items = large.length === 0 ? node.items : node.items.filter((item) => !large.includes(item));
        for (const { place } of large)
          refused.push({ ...refusal(place, [name], message), code: 'LIMIT_REACHED' });
      } else if (node.isUnclear !== true) refused.push(refusal(node.place, [name], 'expected a list'));
    } else if (name !== 'apiVersion') {
      const message = `an included file may contain only \`mappings\`, not ${quoted(name)}`;
      refused.push(refusal(keyPlace, [name], message));
    } else if (node.value !== 'secretbridge.dev/v1') {
      refused.push(refusal(node.place, [name], 'expected `secretbridge.dev/v1`'));
    }
  }
  return { items, refused };
}

/** Counts before the schema checks the mapping, because that takes seconds for a large one. */
function isLarge(mapping: Located, maxValues: number): boolean {
  if (mapping.entry !== undefined) return (mapping.entry.facts?.size ?? 0) > maxValues;
  let count = 0;
  const waiting = [mapping];
  for (let node = waiting.pop(); node !== undefined && count <= maxValues; node = waiting.pop()) {
    count += 1;
    for (const item of node.items ?? []) waiting.push(item);
    for (const member of node.members?.values() ?? []) waiting.push(member.node);
  }
  return count > maxValues;
}

function refusal(place: Place, path: PlacedFinding['path'], message: string): PlacedFinding {
  return { place, path, code: 'CONFIG_INVALID', message };
}
