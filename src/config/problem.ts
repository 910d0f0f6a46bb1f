import type { ErrorCode } from '../core/error-codes.ts';
import { escapeCharacter } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { compareText } from '../core/target.ts';

/** A position in a file. Lines and columns count from 1; a column is one UTF-16 unit, as in editors. */
export interface Place {
  /** The path as written by the user. A relative path stays relative. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Field names and list indexes from the root of the configuration. */
export type Path = readonly (string | number)[];

/** A problem at a path of the configuration. `locate` in `merge.ts` finds its place in the files. */
export interface Finding {
  readonly path: Path;
  /** Whether the problem is the key at the end of the path, rather than its value. */
  readonly at?: 'key';
  readonly code: ErrorCode;
  /** One sentence. It may contain field names and other names, but never a value of a credential field. */
  readonly message: string;
  readonly suggestion?: string;
  /** Whether the format has no such key at this path. */
  readonly isUnknownKey?: true;
}

/** A problem with its place in the files. `secretbridge validate` prints it as one line. */
export interface Problem extends Place {
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly suggestion?: string;
}

export function toProblem(finding: Finding, place: Place): Problem {
  const { code, message, suggestion } = finding;
  const path = formatPath(
    finding.isUnknownKey === true
      ? [...finding.path.slice(0, -1), nameIn(String(finding.path.at(-1)))]
      : finding.path,
  );
  return { ...pick(place), path, code, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

/**
 * Formats a path such as `mappings[0].data.DB_PASSWORD.property`. A name with other characters is escaped and put in
 * brackets.
 */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_][-A-Za-z0-9_]*$/.test(part)) return `[${quoted(part, '"')}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

/** Sorts problems by file, line and column, and removes duplicates. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  // There may be thousands of files without a problem.
  if (problems.length === 0) return problems;
  const seen = new Set<string>();
  return problems
    .filter((problem) => {
      const identity = JSON.stringify([pick(problem), problem.path, problem.message]);
      return seen.has(identity) ? false : seen.add(identity);
    })
    .sort(
      (a, b) =>
        compareText(a.file, b.file) ||
        a.line - b.line ||
        a.column - b.column ||
        compareText(a.path, b.path) ||
        compareText(a.message, b.message),
    );
}

export function formatPlace({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/**
 * Quotes a name from a file for a message. Control, format and bidirectional characters are escaped, so that a file
 * cannot manipulate the reader's terminal. Long names are shortened.
 */
export function quoted(name: string, mark = '`'): string {
  const cut = name.length > 80 ? `${name.slice(0, 77)}…` : name;
  const safe = cut.replace(/[\p{C}\p{Z}"`\\]/gu, (char) => (char === ' ' ? char : escapeCharacter(char)));
  return `${mark}${safe}${mark}`;
}

function pick({ file, line, column }: Place): Place {
  return { file, line, column };
}

export function didYouMean(word: unknown, candidates: Iterable<string>): { suggestion?: string } {
  if (typeof word !== 'string') return {};
  const match = nearest(word, candidates);
  const matches = match === undefined ? related(word.toLowerCase(), [...candidates]) : [match];
  const names = matches.map((name) => `\`${name}\``).join(' or ');
  return matches.length === 0 ? {} : { suggestion: `did you mean ${names}?` };
}

/** @param path The path of the object with the key. */
export function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const name = nameIn(key);
  const isCut = name !== key && known.includes(name.slice(0, -1));
  return {
    path: [...path, key],
    at: 'key',
    isUnknownKey: true,
    code: 'CONFIG_INVALID',
    message: `unknown key ${quoted(name)}`,
    ...(isCut
      ? { suggestion: `write \`${name.slice(0, -1)}:\` with a colon and a space` }
      : didYouMean(key, known)),
  };
}

/** Without a colon or a space, a value belongs to the key: `token:hunter2`. So only the name in front is shown. */
function nameIn(key: string): string {
  return key.replace(/[\s:=][\s\S]*$/, '…');
}

/** Other names of what the format names differently. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['akv', 'azure-key-vault'],
  ['bao', 'vault'],
  ['folder', 'files'],
  ['k8s', 'kubernetes'],
  ['keyvault', 'azure-key-vault'],
  ['openbao', 'vault'],
  ['parameterstore', 'aws-parameter-store'],
  ['secretsmanager', 'aws-secrets-manager'],
  ['ssm', 'aws-parameter-store'],
]);

/** Returns up to three candidates that contain the word, start with it, or are a part of it. */
function related(word: string, candidates: readonly string[]): readonly string[] {
  const other = OTHER_NAMES.get(word);
  if (other !== undefined && candidates.includes(other)) return [other];
  if (word.length < 3) return [];
  const parts = word.split(/[^a-z0-9]+/);
  const matches = candidates.filter((candidate) => {
    const name = candidate.toLowerCase();
    return name.startsWith(word) || name.split('-').includes(word) || parts.includes(name);
  });
  return matches.length > 3 ? [] : matches;
}
