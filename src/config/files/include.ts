import { dirname, isAbsolute, join } from 'node:path';
import { append } from '../../core/lists.ts';
import type { Place, Problem } from '../problem.ts';
import { formatPlace, quoted } from '../problem.ts';
import { absolutePath } from '../resolve.ts';
import type { Rule } from '../shape/access.ts';
import { Include } from '../shape/service.ts';
import { expandFolders, type SourceFile } from './files.ts';
import { locate, type PlacedFinding } from './merge.ts';
import { listOf, textOf } from './raw.ts';
import { type ReadDeps, type ReadDocuments, readDocuments } from './read.ts';
import type { Located } from './yaml.ts';

/** The limits that an `include` sets for the mappings of its files. */
export interface Bound {
  readonly rule: Rule;
  /** The place of the `include` entry. */
  readonly place: Place;
}

export interface Included extends Omit<ReadDocuments, 'documents' | 'blank' | 'isWhole'> {
  readonly mappings: readonly { readonly node: Located; readonly bound: Bound | undefined }[];
  readonly findings: readonly PlacedFinding[];
}

export interface IncludeDeps extends ReadDeps {
  readonly home: string | undefined;
  /** The main files. Their mappings have no bounds. */
  readonly main: readonly SourceFile[];
}

/**
 * Reads the files that tenants write. These files may contain only mappings; other content makes the configuration
 * invalid.
 */
export async function readIncludes(root: Located, deps: IncludeDeps): Promise<Included> {
  const mappings: Included['mappings'][number][] = [];
  const findings: PlacedFinding[] = [];
  const problems: Problem[] = [];
  const texts = new Map<string, string>();
  const readAs = new Map(deps.main.map(({ absolute }) => [absolute, 'as a main file, without bounds']));
  for (const [index, entry] of listOf(root, 'include').entries()) {
    const path = textOf(entry, 'path');
    if (path === undefined || path === '') continue;
    const place = locate(root, ['include', index, 'path']);
    const addFinding = (message: string) =>
      findings.push(refusal(place, ['include', index, 'path'], message));
    const sources = await expandFolders([sourceOf(path, place, deps)], deps.fs);
    for (const { file, message } of sources.problems) addFinding(`${quoted(file)}: ${message}`);
    const files = sources.files.filter(({ shown, absolute }) => {
      const earlier = readAs.get(absolute);
      if (earlier !== undefined) addFinding(`${quoted(shown)} is read twice: also ${earlier}`);
      readAs.set(absolute, `by the \`include\` at ${formatPlace(place)}`);
      return earlier === undefined;
    });
    const rule = Include.safeParse(entry).data;
    const bound = rule === undefined ? undefined : { rule, place: locate(root, ['include', index]) };
    const read = await readDocuments(files, { ...deps, isOfTenant: true });
    append(problems, [...read.problems, ...read.blank]);
    for (const [name, text] of read.texts) texts.set(name, text);
    for (const document of read.documents) {
      const { items, refused } = mappingsOf(document);
      append(findings, refused);
      for (const node of items) mappings.push({ node, bound });
    }
  }
  return { mappings, findings, problems, texts };
}

/** Resolves the path of an `include` relative to the file that contains it. */
function sourceOf(path: string, place: Place, { home, main }: IncludeDeps): SourceFile {
  const naming = main.find(({ shown }) => shown === place.file);
  const folder = dirname(naming?.absolute ?? place.file);
  const shown = isAbsolute(path) || path.startsWith('~/') ? path : join(dirname(place.file), path);
  return { shown, absolute: absolutePath(path, folder, home) };
}

function mappingsOf(document: Located): { items: readonly Located[]; refused: readonly PlacedFinding[] } {
  if (document.isUnclear) return { items: [], refused: [] };
  if (document.members === undefined)
    return { items: [], refused: [refusal(document.place, [], 'expected an object with `mappings`')] };
  const refused: PlacedFinding[] = [];
  let items: readonly Located[] = [];
  for (const [name, { keyPlace, node }] of document.members) {
    if (name === 'mappings') {
      if (node.items !== undefined) {
        const { true: large = [], false: small = [] } = Object.groupBy(node.items, (item) =>
          isLarge(item) ? 'true' : 'false',
        );
        items = small;
        for (const { place } of large)
          refused.push({ ...refusal(place, [name], TOO_MANY_VALUES), code: 'LIMIT_REACHED' });
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

/** The maximum number of values in one mapping of a tenant. A mapping with 200 keys has about 1,500. */
const MAX_VALUES = 10_000;
const TOO_MANY_VALUES = `a mapping of an included file may have at most ${MAX_VALUES} values`;

/** Counts before the schema checks the mapping, because that takes seconds for a large one. */
function isLarge(mapping: Located): boolean {
  let count = 0;
  const waiting = [mapping];
  for (let node = waiting.pop(); node !== undefined && count <= MAX_VALUES; node = waiting.pop()) {
    count += 1;
    for (const item of node.items ?? []) waiting.push(item);
    for (const member of node.members?.values() ?? []) waiting.push(member.node);
  }
  return count > MAX_VALUES;
}

function refusal(place: Place, path: PlacedFinding['path'], message: string): PlacedFinding {
  return { place, path, code: 'CONFIG_INVALID', message };
}
