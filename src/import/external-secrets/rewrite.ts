import type { Json, Node } from '../node.ts';
import { Untranslatable } from '../template/lex.ts';
import { parseTemplate } from '../template/parse.ts';

/**
 * Describes how a key gets its name. Limited to changes that `rename` supports, and to the search path at the start of
 * a name.
 */
export interface Naming {
  /** Patterns of `rename`, which are applied first. */
  readonly patterns?: readonly { readonly match: string; readonly to: string }[];
  readonly case?: 'upper' | 'lower';
  readonly replace?: { readonly from: string; readonly to: string };
  readonly prefix: string;
  readonly replaceInvalid: boolean;
  /**
   * Whether the names still start with the search path. In External Secrets, the names that a search finds start with
   * the search path. In secretbridge, such names never start with it.
   */
  readonly withPath: boolean;
}

/**
 * Applies one step of `rewrite` to the current naming.
 * @param path The search path with a final `/`; empty for an object.
 * @returns `undefined` if the step has no equivalent.
 */
export function rewritten(naming: Naming, step: Node, path: string): Naming | undefined {
  const regexp = step.child('regexp');
  const transform = step.child('transform');
  if (regexp !== undefined)
    return byRegExp(naming, regexp.template('source') ?? '', regexp.template('target') ?? '', path);
  if (transform !== undefined) return byTemplate(naming, transform.template('template') ?? '', path);
  if (step.has('merge')) step.ignore('merge');
  return undefined;
}

/** Prefers the simple fields of `rename`: for whole names, prefixes, invalid characters, and a text. */
function byRegExp(naming: Naming, source: string, target: string, path: string): Naming | undefined {
  const capture = /^\^?(.*?)\((\.\*|\.\+)\)\$?$/.exec(source);
  const into = /^((?:[^$]|\$\$)*)\$(?:1|\{1\})$/.exec(target);
  if (capture !== null && into !== null) {
    const stripped = withoutStart(naming, capture[1] ?? '', path);
    if (stripped !== undefined) return withPrefix(stripped, unescapeTarget(into[1] ?? ''));
  }
  const start = /^\^(.*)$/.exec(source);
  if (start !== null && !target.includes('$')) {
    const stripped = withoutStart(naming, start[1] ?? '', path);
    if (stripped !== undefined) return withPrefix(stripped, target);
  }
  // Without an anchor, the expression could also match later in a name. Treat it as a prefix, because the author almost
  // certainly meant a prefix.
  if (target === '' && literalOf(source) === path && path !== '') return withoutPath(naming);
  // A pattern with `+` replaces several characters by a single `_`, and this has no equivalent.
  if (target === '_' && INVALID_CLASSES.has(source)) return { ...naming, replaceInvalid: true };
  const to = unescapeTarget(target);
  const replacement = to.includes('$') ? undefined : withReplacement(naming, literalOf(source), to);
  return replacement ?? withPattern(naming, source, target);
}

/** `rename` applies patterns before everything else, and to names without the search path. */
function withPattern(naming: Naming, match: string, to: string): Naming | undefined {
  const { withPath, prefix, replaceInvalid, replace, patterns = [] } = naming;
  const isFirst = prefix === '' && !replaceInvalid && replace === undefined && naming.case === undefined;
  return isFirst && !withPath ? { ...naming, patterns: [...patterns, { match, to }] } : undefined;
}

/** `rename` replaces one text, before it adds the prefix and replaces invalid characters. */
function withReplacement(naming: Naming, from: string | undefined, to: string): Naming | undefined {
  const { withPath, prefix, replaceInvalid, replace } = naming;
  const isFirst = !withPath && prefix === '' && !replaceInvalid && replace === undefined;
  return from && isFirst ? { ...naming, replace: { from, to } } : undefined;
}

/** Returns undefined if the replaced texts contain letters, because `rename` changes the case before it replaces. */
function withCase(naming: Naming, letters: 'upper' | 'lower'): Naming | undefined {
  const { replace: { from, to } = { from: '', to: '' } } = naming;
  if ((from + to).toUpperCase() !== (from + to).toLowerCase()) return undefined;
  const prefix = letters === 'upper' ? naming.prefix.toUpperCase() : naming.prefix.toLowerCase();
  return { ...naming, case: letters, prefix };
}

/** Character classes whose replacement by `_` has the same effect as `invalid: replace`. */
const INVALID_CLASSES = new Set([
  '/',
  '[^a-zA-Z0-9\\-_.]',
  '[^a-zA-Z0-9\\-\\._]',
  '[^a-zA-Z0-9._-]',
  '[^a-zA-Z0-9_.-]',
  '[^-._a-zA-Z0-9]',
  '[^\\w.-]',
  '[^\\w\\-.]',
]);

function withoutStart(naming: Naming, pattern: string, path: string): Naming | undefined {
  const literal = literalOf(pattern);
  if (literal === '') return naming;
  return literal === path ? withoutPath(naming) : undefined;
}

/**
 * Removes the search path from names. Possible only if the names still start with the unchanged path; an earlier step
 * may have replaced its `/` by `_`.
 */
function withoutPath(naming: Naming): Naming | undefined {
  const { withPath, prefix, replaceInvalid } = naming;
  if (!withPath || prefix !== '' || replaceInvalid || naming.case !== undefined) return undefined;
  return { ...naming, withPath: false };
}

/** Returns the literal text of a pattern. `undefined` if it is not a literal. */
function literalOf(pattern: string): string | undefined {
  const plain = pattern.replace(/\\([^A-Za-z0-9])/g, (_, char: string) => `\u0000${char.charCodeAt(0)};`);
  if (/[\\^$.|?*+()[\]{}]/.test(plain)) return undefined;
  return plain.replace(/\u0000(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}

function unescapeTarget(target: string): string {
  return target.replaceAll('$$', '$');
}

function withPrefix(naming: Naming, prefix: string): Naming {
  return prefix === '' ? naming : { ...naming, prefix: prefix + naming.prefix };
}

/**
 * Converts a template that changes names. Supports `{{ .value }}` with a case change, with an added prefix, or with the
 * path removed.
 */
function byTemplate(naming: Naming, template: string, path: string): Naming | undefined {
  try {
    const statements = parseTemplate(template);
    let result: Naming | undefined;
    let before = '';
    for (const statement of statements) {
      if (statement.kind === 'text' && result === undefined) before += statement.text;
      else if (
        statement.kind === 'output' &&
        result === undefined &&
        !statement.trimLeft &&
        !statement.trimRight
      )
        result = applied(naming, statement.value, path);
      else return undefined;
      if (statement.kind === 'output' && result === undefined) return undefined;
    }
    return result && withPrefix(result, before);
  } catch (error) {
    if (error instanceof Untranslatable) return undefined;
    throw error;
  }
}

type Expression = Extract<ReturnType<typeof parseTemplate>[number], { kind: 'output' }>['value'];

function applied(naming: Naming, expression: Expression, path: string): Naming | undefined {
  if (expression.kind === 'dot') return expression.names.join('.') === 'value' ? naming : undefined;
  if (expression.kind !== 'call') return undefined;
  const { name, args } = expression;
  const last = args.at(-1);
  const inner = last === undefined ? undefined : applied(naming, last, path);
  if (inner === undefined) return undefined;
  const [first, second] = args;
  switch (`${name} ${args.length}`) {
    case 'upper 1':
      return withCase(inner, 'upper');
    case 'lower 1':
      return withCase(inner, 'lower');
    case 'toString 1':
      return inner;
    case 'trimPrefix 2':
      return first?.kind === 'text' && first.value === path && path !== '' ? withoutPath(inner) : undefined;
    case 'replace 3':
      if (first?.kind !== 'text' || second?.kind !== 'text') return undefined;
      return first.value === '/' && second.value === '_'
        ? { ...inner, replaceInvalid: true }
        : withReplacement(inner, first.value, second.value);
    case 'printf 2': {
      const format = first?.kind === 'text' ? /^([^%]*)%[sv]$/.exec(first.value) : null;
      return format === null ? undefined : withPrefix(inner, format[1] ?? '');
    }
    default:
      return undefined;
  }
}

/** Formats the naming as `rename`. If names still include the search path, the path is appended to the prefix. */
export function renameOf(
  { patterns, case: letters, replace, prefix, replaceInvalid, withPath }: Naming,
  path: string,
): Json | undefined {
  const cased = letters === 'upper' ? path.toUpperCase() : letters === 'lower' ? path.toLowerCase() : path;
  const fullPrefix = `${prefix}${withPath ? cased : ''}`;
  const rename = {
    ...(patterns === undefined ? {} : { patterns }),
    ...(letters === undefined ? {} : { case: letters }),
    ...(replace === undefined ? {} : { replace }),
    ...(fullPrefix === '' ? {} : { prefix: fullPrefix }),
    ...(replaceInvalid ? { invalid: 'replace' } : {}),
  };
  return Object.keys(rename).length === 0 ? undefined : rename;
}
