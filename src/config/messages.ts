import { z } from 'zod';
import { isErrorCode } from '../core/error-codes.ts';
import { nearest } from '../core/nearest.ts';
import { Reference } from '../providers/credentials.ts';
import { memberOf } from './files/raw.ts';
import { didYouMean, type Finding, type Path, quoted, unknownKey } from './problem.ts';

// Turns zod issues into sentences. The schemas describe the expected value in `error`; this file adds the rest. No
// sentence contains a value from the file, because the value may be a credential.

type Issue = z.core.$ZodIssue;

/** Schema details that a zod issue lacks. zod's `error` can return only text, so the details are passed as JSON. */
interface Facts {
  readonly knownKeys?: readonly string[];
  readonly reference?: true;
  /** For unions of objects: the discriminator and its possible values. */
  readonly choice?: { readonly by: string; readonly among: readonly string[] };
}
const FACTS = '\u0000';

/** The maximum number of explained issues of one value. A file may consist of mistakes, and a suggestion takes time. */
const MAX_ISSUES = 1_000;

export type Checked<T> =
  | { readonly kind: 'valid'; readonly output: T }
  | { readonly kind: 'invalid'; readonly findings: readonly Finding[] };

/** @param path The path of the value in the whole configuration. */
export function check<T extends z.ZodType>(schema: T, value: unknown, path: Path): Checked<z.output<T>> {
  const result = schema.safeParse(value, { error: (issue) => FACTS + JSON.stringify(factsOf(issue)) });
  if (result.success) return { kind: 'valid', output: result.data };
  const issues = result.error.issues.slice(0, MAX_ISSUES);
  return { kind: 'invalid', findings: issues.flatMap((issue) => explain(issue, value, path)) };
}

function factsOf({ inst }: z.core.$ZodRawIssue): Facts {
  if (inst instanceof z.ZodUnion && inst.options === Reference.options) return { reference: true };
  if (inst instanceof z.ZodDiscriminatedUnion) return { choice: choiceOf(inst) };
  if (inst instanceof z.ZodObject)
    return REFERENCE_SHAPES.includes(inst.shape)
      ? { reference: true }
      : { knownKeys: Object.keys(inst.shape) };
  return {};
}

function choiceOf(union: z.ZodDiscriminatedUnion): NonNullable<Facts['choice']> {
  const by = union.def.discriminator;
  const values = union.options.flatMap((option) => {
    const word = option instanceof z.ZodObject ? option.shape[by] : undefined;
    return word instanceof z.ZodLiteral ? [...word.values].map(String) : [];
  });
  return { by, among: values };
}

// The shapes of all credential references. zod reports an unknown key in a reference as a separate issue, and the shape
// shows that the issue belongs to a reference. The schemas themselves cannot be compared, because adding a description
// creates a new schema with the same shape.
const REFERENCE_SHAPES: readonly unknown[] = [
  ...Reference.options.map((option) => option.shape),
  ...Reference.options.flatMap((option) =>
    Object.values(option.shape).map((field) => (field instanceof z.ZodObject ? field.shape : undefined)),
  ),
];

/** @param base The value at `path`. The path of the issue starts there. */
function explain(issue: Issue, base: unknown, path: Path): Finding[] {
  const customMessage = issue.message.startsWith(FACTS) ? undefined : issue.message;
  const facts: Facts = customMessage === undefined ? JSON.parse(issue.message.slice(FACTS.length)) : {};
  const inner = issue.path.filter((part) => typeof part !== 'symbol');
  const valuePath = [...path, ...inner];
  const value = valueAt(base, inner);
  const finding = (message: string, more: Partial<Finding> = {}): Finding[] => [
    { path: valuePath, code: 'CONFIG_INVALID', message, ...more },
  ];
  const expected = (what: string, more: Partial<Finding> = {}) => finding(expectation(what, value), more);

  if (facts.reference === true && issue.code === 'invalid_union')
    return explainReference(issue, value, valuePath);
  const correction = issue.code === 'invalid_type' ? suggestionFor(value, issue.expected, facts) : {};
  if (customMessage !== undefined && issue.code !== 'custom') return expected(customMessage, correction);
  switch (issue.code) {
    case 'custom':
      return finding(`expected ${customMessage ?? 'another value'}`, detailsFromParams(issue.params));
    case 'invalid_type':
      return expected(TYPE_TEXT[issue.expected] ?? issue.expected, correction);
    case 'invalid_value':
      return expected(oneOf(issue.values), didYouMean(value, issue.values.map(String)));
    case 'unrecognized_keys':
      if (facts.reference === true) return finding(`expected ${ONE_REFERENCE}`);
      return issue.keys.map((key) => unknownKey(valuePath, key, facts.knownKeys ?? []));
    case 'invalid_key':
      return issue.issues.flatMap((nested) =>
        explain(nested, inner.at(-1), valuePath).map((found) => ({
          ...found,
          path: valuePath,
          at: 'key' as const,
        })),
      );
    case 'invalid_union':
      return explainUnion(issue, value, valuePath);
    case 'too_small':
    case 'too_big':
      return expected(sizeText(issue));
    case 'invalid_format':
      return expected(
        issue.format === 'regex' ? `text of the form \`${issue.pattern}\`` : `a valid ${issue.format}`,
      );
    default:
      return finding('expected another value');
  }
}

const TYPE_TEXT: Readonly<Partial<Record<string, string>>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

const WITHOUT_QUOTES = 'write it without quotes';

/** Suggests a correction if text was written where another type is expected. It never shows the text itself. */
function suggestionFor(value: unknown, expected: string, { choice }: Facts): Partial<Finding> {
  if (typeof value !== 'string') return {};
  if (expected === 'object' && choice !== undefined) {
    const word = nearest(value, choice.among);
    return word === undefined ? {} : { suggestion: `did you mean \`{ ${choice.by}: ${word} }\`?` };
  }
  if (expected === 'number' || expected === 'int')
    return /^-?\d+(?:\.\d+)?$/.test(value) ? { suggestion: WITHOUT_QUOTES } : {};
  if (expected !== 'boolean') return {};
  if (value === 'true' || value === 'false') return { suggestion: WITHOUT_QUOTES };
  // YAML 1.1 reads these words as booleans.
  const isYes = /^(?:y|yes|on)$/i.test(value);
  const isNo = /^(?:n|no|off)$/i.test(value);
  return isYes || isNo ? { suggestion: `did you mean \`${isYes}\`?` } : {};
}

/** Describes an unexpected value by its type only: "expected a list, got text". */
function expectation(what: string, value: unknown): string {
  if (value === undefined) return `is missing; expected ${what}`;
  const quotes = what === 'text' && ['number', 'boolean'].includes(typeof value) ? '; put it in quotes' : '';
  return `expected ${what}, got ${describeActual(what, value)}${quotes}`;
}

function describeActual(what: string, value: unknown): string {
  const got = typeOf(value);
  if (got === 'a number' && /^a (?:whole )?number/.test(what)) return 'another number';
  const isOtherType = Object.values(TYPE_TEXT).includes(what) || /\bnumber\b/.test(what);
  return got === 'text' && !isOtherType ? 'other text' : got;
}

function typeOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return value === '' ? 'empty text' : 'text';
  return { number: 'a number', boolean: 'true or false' }[typeof value as string] ?? 'an object';
}

function sizeText(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const few = issue.code === 'too_small';
  const bound = few ? issue.minimum : issue.maximum;
  if (issue.origin === 'string')
    return few && bound === 1
      ? 'non-empty text'
      : `text of ${few ? 'at least' : 'at most'} ${bound} characters`;
  if (issue.origin === 'array')
    return `a list of ${few ? 'at least' : 'at most'} ${bound} ${bound === 1 ? 'entry' : 'entries'}`;
  return `a number of ${few ? 'at least' : 'at most'} ${bound}`;
}

/**
 * Explains the union branch that the user probably intended. The discriminator or the type of the value identifies the
 * branch.
 */
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, value: unknown, path: Path): Finding[] {
  if (issue.errors.length === 0) {
    const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
    const message = expectation(oneOf(options), value);
    return [{ path, code: 'CONFIG_INVALID', message, ...didYouMean(value, options) }];
  }
  const values = issue.errors.map((errors) => (errors.length === 1 ? errors[0] : undefined));
  if (values.every((error) => error?.code === 'invalid_value' && error.path.length === 0)) {
    const options = values.flatMap((error) =>
      error?.code === 'invalid_value' ? error.values.map(String) : [],
    );
    const isQuoted = typeof value === 'string' && options.includes(value);
    const suggestion = isQuoted ? { suggestion: WITHOUT_QUOTES } : didYouMean(value, options);
    return [{ path, code: 'CONFIG_INVALID', message: expectation(oneOf(options), value), ...suggestion }];
  }
  const object = typeof value === 'object' && value !== null;
  const intendedBranch = issue.errors.find((errors) => {
    const [first] = errors;
    const wrongType = first?.path.length === 0 && first.code === 'invalid_type';
    return !wrongType && (first?.code === 'invalid_union' ? object : true);
  });
  if (intendedBranch !== undefined) return intendedBranch.flatMap((error) => explain(error, value, path));
  return [{ path, code: 'CONFIG_INVALID', message: expectation(`text, or ${A_REFERENCE}`, value) }];
}

const A_REFERENCE = 'a reference such as `{ env: NAME }`, `{ file: PATH }` or `{ secretRef: { name, key } }`';

const ONE_REFERENCE = `${A_REFERENCE}, with exactly one of the three`;

/** Shows nothing from the file, not even field names, because a field name may be the credential itself. */
function explainReference(issue: z.core.$ZodIssueInvalidUnion, value: unknown, path: Path): Finding[] {
  const invalid = (message: string): Finding[] => [{ path, code: 'CONFIG_INVALID', message }];
  if (value === undefined || value === null) return invalid(expectation(A_REFERENCE, value));
  if (typeof value !== 'object')
    return invalid(`a configuration must not contain credentials; write ${A_REFERENCE} instead`);
  const kinds = Array.isArray(value) ? [] : Object.keys(value);
  const branch = ['env', 'file', 'secretRef'].indexOf(kinds[0] ?? '');
  if (kinds.length !== 1 || branch === -1) return invalid(`expected ${ONE_REFERENCE}`);
  const errors = (issue.errors[branch] ?? []).filter((error) => error.code !== 'unrecognized_keys');
  if (errors.length === 0) return invalid(`expected ${ONE_REFERENCE}`);
  return errors.flatMap((error) => explain(error, value, path));
}

function oneOf(options: readonly unknown[]): string {
  const marked = options.map((option) => `\`${String(option)}\``);
  const last = marked.at(-1) ?? 'another value';
  return marked.length < 2 ? last : `${marked.slice(0, -1).join(', ')} or ${last}`;
}

/** A custom check may set an error code and a suggestion. */
function detailsFromParams(params: unknown): Partial<Finding> {
  if (typeof params !== 'object' || params === null) return {};
  const code = 'code' in params && isErrorCode(params.code) ? { code: params.code } : {};
  const suggestion =
    'suggested' in params && typeof params.suggested === 'string'
      ? { suggestion: `did you mean ${quoted(params.suggested)}?` }
      : {};
  return { ...code, ...suggestion };
}

function valueAt(base: unknown, path: Path): unknown {
  return path.reduce<unknown>(memberOf, base);
}
