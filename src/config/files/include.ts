import { dirname, isAbsolute, join } from 'node:path';
import { formatPlace, type Place, type Problem, quoted, toProblem } from '../problem.ts';
import { absolutePath } from '../resolve.ts';
import { Include } from '../shape/include.ts';
import { type ConfigFs, expandFolders, leadsOut, readSize, type SourceFile } from './files.ts';
import { locate, type PlacedFinding } from './merge.ts';
import { listOf, textOf } from './raw.ts';
import { type ReadDeps, readFiles } from './read.ts';
import type { Located } from './yaml.ts';

/** The limits that an `include` sets for the mappings of its files. */
export interface Bound {
  readonly rule: Include;
  /** The place of the `include` entry. */
  readonly place: Place;
}

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

export interface IncludeDeps extends ReadDeps {
  readonly home: string | undefined;
  /** The main files. Their mappings have no bounds. */
  readonly main: readonly SourceFile[];
}

/** Reads the files that tenants write. These files may contain only mappings. Each file has problems of its own. */
export async function readIncludes(root: Located, deps: IncludeDeps): Promise<Included> {
  const files: IncludedFile[] = [];
  const findings: PlacedFinding[] = [];
  const mainFiles = new Set(deps.main.map(({ absolute }) => absolute));
  const readAt = new Map<string, Place>();
  for (const [index, entry] of listOf(root, 'include').entries()) {
    const path = textOf(entry, 'path');
    if (path === undefined || path === '') continue;
    const at = ['include', index, 'path'];
    const place = locate(root, at);
    const rule = Include.safeParse(entry).data;
    const bound = rule === undefined ? undefined : { rule, place: locate(root, ['include', index]) };
    const source = sourceOf(path, place, deps);
    const base = { from: source.absolute, bound };
    const unusable = (refused: SourceFile, message: string): IncludedFile => ({
      ...base,
      source: refused,
      mappings: [],
      problems: [toProblem(refusal(place, at, message), place)],
      text: '',
    });
    const room = roomOf(rule);
    const listed = await expandFolders([source], deps.fs, room.files);
    for (const { file, message } of listed.problems)
      files.push(unusable(source, `${quoted(file)}: ${message}`));
    const unread: SourceFile[] = [];
    for (const file of listed.files) {
      const twice = `${quoted(file.shown)} is read twice: also `;
      const earlier = readAt.get(file.absolute);
      // The operator expects bounds for this file, but the main configuration reads it without bounds.
      if (mainFiles.has(file.absolute))
        findings.push(refusal(place, at, `${twice}as a main file, without bounds`));
      else if (earlier !== undefined)
        files.push(unusable(file, `${twice}by the \`include\` at ${formatPlace(earlier)}`));
      else {
        const message = await room.refuse(file, source, deps.fs);
        if (message === undefined) unread.push(file);
        else files.push(unusable(file, message));
      }
      readAt.set(file.absolute, earlier ?? place);
    }
    for (const read of await readMappings(unread, bound, { ...deps, tenant: path }))
      files.push({ ...base, ...read });
  }
  return { files, findings };
}

async function readMappings(
  sources: readonly SourceFile[],
  bound: Bound | undefined,
  deps: ReadDeps,
): Promise<readonly Omit<IncludedFile, 'from' | 'bound'>[]> {
  const maxValues = Math.max(MIN_VALUES, VALUES_PER_KEY * (bound?.rule.limits.keysPerMapping ?? 0));
  const read = await readFiles(sources, deps);
  return read.map(({ source, documents, problems, text = '' }) => {
    const contents = documents.map((document) => mappingsOf(document, maxValues));
    const refused = contents.flatMap((content) => content.refused);
    return {
      source,
      mappings: contents.flatMap(({ items }) => items),
      problems: [...problems, ...refused.map((finding) => toProblem(finding, finding.place))],
      text,
    };
  });
}

const MIN_FILES = 1_000;
const MIN_BYTES = 4 * 1024 ** 2;
const BYTES_PER_MAPPING = 8 * 1024;

/** Limits the files of one `include` together, because parsed values take fifteen times the size of the file. */
function roomOf(rule: Include | undefined) {
  const mappings = rule?.limits.mappings ?? 0;
  const maxBytes = Math.max(MIN_BYTES, BYTES_PER_MAPPING * mappings);
  let bytes = 0;
  return {
    files: Math.max(MIN_FILES, mappings),
    /** Returns why a file must not be read. A tenant could link to a file of another tenant or of the operator. */
    async refuse(file: SourceFile, from: SourceFile, fs: ConfigFs): Promise<string | undefined> {
      if (file.absolute !== from.absolute && (await leadsOut(file, fs)))
        return `${quoted(file.shown)} is a link that leads out of the folder of the \`include\``;
      bytes += await readSize(file, fs);
      if (bytes <= maxBytes) return undefined;
      const limit = `${Math.floor(maxBytes / 1024 ** 2)} MiB`;
      return `${quoted(file.shown)}: the files of this \`include\` have more than ${limit} together`;
    },
  };
}

/** Resolves the path of an `include` relative to the file that contains it. */
function sourceOf(path: string, place: Place, { home, main }: IncludeDeps): SourceFile {
  const naming = main.find(({ shown }) => shown === place.file);
  const folder = dirname(naming?.absolute ?? place.file);
  const shown = isAbsolute(path) || path.startsWith('~/') ? path : join(dirname(place.file), path);
  return { shown, absolute: absolutePath(path, folder, home) };
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
        items = node.items.filter((item) => !isLarge(item, maxValues));
        for (const item of node.items)
          if (isLarge(item, maxValues))
            refused.push({ ...refusal(item.place, [name], message), code: 'LIMIT_REACHED' });
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
