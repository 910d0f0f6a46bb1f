import type { Located } from '../files/yaml.ts';
import { LEAST_HIDDEN } from '../hidden.ts';
import type { Finding, Path, Place, Problem } from '../problem.ts';
import { toProblem } from '../problem.ts';
import { suspectsIn } from './credential-shapes.ts';

export interface FoundCredentials {
  readonly problems: readonly Problem[];
  /** What must not be shown, whatever else is wrong where it stands. */
  readonly fragments: ReadonlySet<string>;
}

/** Fields that hold identifiers of others, and expressions. */
const NAMES: ReadonlySet<string> = new Set(['version', 'roleId', 'clientId', 'tenantId', 'externalId']);

/**
 * What looks like a credential in any text of the configuration. The comment `# secretbridge:allow` on its line, or
 * on a line of its own above, says that it is none.
 */
export function findCredentials(root: Located, texts: ReadonlyMap<string, string>): FoundCredentials {
  const problems: Problem[] = [];
  const fragments = new Set<string>();
  const isAllowed = allowanceOf(texts);
  const judge = (text: string, field: string | undefined, path: Path, place: Place, at?: 'key') => {
    const isName = field !== undefined && NAMES.has(field);
    const free = isFree(path);
    // The name of a field tells what a text is, as in `password: …`; in our own format it tells nothing.
    const suspects = suspectsIn(free ? `${field}: ${text}` : text, { isName, isFree: free });
    const [first] = suspects;
    if (first === undefined || isAllowed(place)) return;
    for (const line of suspects.flatMap(({ fragment }) => fragment.split(/\s+/)))
      if (line.length >= LEAST_HIDDEN) fragments.add(line);
    const finding: Finding = {
      path,
      code: 'CONFIG_INVALID',
      message: `this looks like ${first.what}; a credential must not stand in the configuration`,
      suggestion:
        'keep it in a store, or refer to it; if it is none, put the comment `# secretbridge:allow` on this line',
      ...(at === undefined ? {} : { at }),
    };
    problems.push(toProblem(finding, place));
  };
  const visit = (node: Located, path: Path, field: string | undefined): void => {
    if (typeof node.value === 'string') judge(node.value, field, path, node.place);
    for (const [index, item] of (node.items ?? []).entries()) visit(item, [...path, index], field);
    for (const [name, { keyPlace, node: member }] of node.members ?? []) {
      const inner = [...path, name];
      judge(name, undefined, inner, keyPlace, 'key');
      visit(member, inner, name);
    }
  };
  visit(root, [], undefined);
  return { problems, fragments };
}

/** Whether people choose the names of members there. */
function isFree(path: Path): boolean {
  const [section, , part, kind] = path;
  return (
    (section === 'mappings' && part === 'target' && (kind === 'labels' || kind === 'annotations')) ||
    (section === 'mappings' && part === 'template' && kind === 'data')
  );
}

function allowanceOf(texts: ReadonlyMap<string, string>): (place: Place) => boolean {
  const lines = new Map<string, readonly string[]>();
  // A file may be one line, and have thousands of suspects.
  const known = new Map<string, boolean>();
  const isAllowed = (file: string, line: number): boolean => {
    const all = lines.get(file) ?? (texts.get(file) ?? '').split(/\r?\n/);
    lines.set(file, all);
    const above = all[line - 2] ?? '';
    return saysAllow(all[line - 1] ?? '') || (/^\s*#/.test(above) && saysAllow(above));
  };
  return ({ file, line }) => {
    const place = `${line} ${file}`;
    const answer = known.get(place) ?? isAllowed(file, line);
    known.set(place, answer);
    return answer;
  };
}

/** From the first `#` on: to look behind each of many would take time by the square of the line. */
function saysAllow(line: string): boolean {
  const comment = /(?:^|\s)#/.exec(line);
  return comment !== null && /\bsecretbridge:allow\b/.test(line.slice(comment.index));
}
