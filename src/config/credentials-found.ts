import { suspectsIn } from './credential-shapes.ts';
import type { Finding, Path, Place, Problem } from './problem.ts';
import { toProblem } from './problem.ts';
import type { Located } from './yaml.ts';

export interface FoundCredentials {
  readonly problems: readonly Problem[];
  /** What must not be shown, whatever else is wrong where it stands. */
  readonly fragments: ReadonlySet<string>;
}

/** Fields that hold identifiers of others, and expressions. */
const NAMES: ReadonlySet<string> = new Set(['version', 'roleId', 'clientId', 'tenantId', 'externalId']);

const ALLOWED = /(?:^|\s)#.*\bsecretbridge:allow\b/;

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
      if (line.length >= 6) fragments.add(line);
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
  return ({ file, line }) => {
    const known = lines.get(file) ?? (texts.get(file) ?? '').split(/\r?\n/);
    lines.set(file, known);
    const above = known[line - 2] ?? '';
    return ALLOWED.test(known[line - 1] ?? '') || (/^\s*#/.test(above) && ALLOWED.test(above));
  };
}

const HIDDEN = '[secret]';

/** A problem of something else must not show it either: names are quoted, and so are keys. */
export function hideFragments(problem: Problem, fragments: ReadonlySet<string>): Problem {
  if (fragments.size === 0) return problem;
  const { suggestion, ...rest } = problem;
  const hide = (text: string) => [...fragments].reduce(hideOne, text);
  return {
    ...rest,
    file: hide(problem.file),
    path: hide(problem.path),
    message: hide(problem.message),
    ...(suggestion === undefined ? {} : { suggestion: hide(suggestion) }),
  };
}

function hideOne(text: string, fragment: string): string {
  const whole = text.replaceAll(fragment, HIDDEN);
  if (!whole.includes('…')) return whole;
  // Long names are cut, and so may be what stands in them.
  for (let length = fragment.length - 1; length >= 6; length--) {
    const cut = `${fragment.slice(0, length)}…`;
    if (whole.includes(cut)) return whole.replaceAll(cut, `${HIDDEN}…`);
  }
  return whole;
}
