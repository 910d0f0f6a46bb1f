import { findSuspects } from '../../core/credential-shapes.ts';
import type { Located } from '../files/yaml.ts';
import type { Finding, Path, Place, Problem } from '../problem.ts';
import { toProblem } from '../problem.ts';
import { MIN_REDACTED_LENGTH } from '../redact.ts';

export interface CredentialFindings {
  readonly problems: readonly Problem[];
  /** Credential fragments to remove from all problems. */
  readonly fragments: ReadonlySet<string>;
  /** The indexes of the mappings with such text, even if a comment allows it. */
  readonly mappings: ReadonlySet<number>;
}

/**
 * Finds text that looks like a credential anywhere in the configuration. Skips a text if the comment `#
 * secretbridge:allow` is at the end of its line or on the line above.
 */
export function findCredentials(root: Located, texts: ReadonlyMap<string, string>): CredentialFindings {
  const problems: Problem[] = [];
  const fragments = new Set<string>();
  const mappings = new Set<number>();
  const isAllowed = createAllowCheck(texts);
  const checkText = (text: string, field: string | undefined, path: Path, place: Place, at?: 'key') => {
    const isFreeForm = isFreeFormPath(path);
    // In free-form fields the field name describes the value, as in `password: …`. In our own format the name is no
    // hint.
    const suspects = findSuspects(isFreeForm ? `${field}: ${text}` : text, isFreeForm);
    const [first] = suspects;
    if (first === undefined) return;
    const [section, index] = path;
    // The comment may be in the text before the mapping.
    if (section === 'mappings' && typeof index === 'number') mappings.add(index);
    if (isAllowed(place)) return;
    for (const line of suspects.flatMap(({ fragment }) => fragment.split(/\s+/)))
      if (line.length >= MIN_REDACTED_LENGTH) fragments.add(line);
    const finding: Finding = {
      path,
      code: 'CONFIG_INVALID',
      message: `this looks like ${first.description}; a configuration must not contain credentials`,
      suggestion:
        'keep it in a store, or use a reference; if it is not a credential, put the comment `# secretbridge:allow` on this line',
      ...(at === undefined ? {} : { at }),
    };
    problems.push(toProblem(finding, place));
  };
  const visit = (node: Located, path: Path, field: string | undefined): void => {
    if (typeof node.value === 'string') checkText(node.value, field, path, node.place);
    // Other than a loop, this skips the holes of a list.
    node.items?.forEach((item, index) => {
      visit(item, [...path, index], field);
    });
    for (const [name, { keyPlace, node: member }] of node.members ?? []) {
      const inner = [...path, name];
      checkText(name, undefined, inner, keyPlace, 'key');
      visit(member, inner, name);
    }
  };
  visit(root, [], undefined);
  return { problems, fragments, mappings };
}

/** Whether users choose the field names at this path. */
function isFreeFormPath(path: Path): boolean {
  const [section, , part, kind] = path;
  return (
    (section === 'mappings' && part === 'target' && (kind === 'labels' || kind === 'annotations')) ||
    (section === 'mappings' && part === 'template' && kind === 'data')
  );
}

function createAllowCheck(texts: ReadonlyMap<string, string>): (place: Place) => boolean {
  const lines = new Map<string, readonly string[]>();
  // A file may consist of one line with thousands of texts that look like credentials, so cache the result.
  const allowedByPlace = new Map<string, boolean>();
  const isAllowed = (file: string, line: number): boolean => {
    const all = lines.get(file) ?? (texts.get(file) ?? '').split(/\r?\n/);
    lines.set(file, all);
    const above = all[line - 2] ?? '';
    return hasAllowComment(all[line - 1] ?? '') || (/^\s*#/.test(above) && hasAllowComment(above));
  };
  return ({ file, line }) => {
    const place = `${line} ${file}`;
    const answer = allowedByPlace.get(place) ?? isAllowed(file, line);
    allowedByPlace.set(place, answer);
    return answer;
  };
}

/**
 * Whether the comment of a line contains the marker. Searches from the first `#`; a look-behind at each `#` would take
 * quadratic time on a long line.
 */
function hasAllowComment(line: string): boolean {
  const comment = /(?:^|\s)#/.exec(line);
  return comment !== null && /\bsecretbridge:allow\b/.test(line.slice(comment.index));
}
