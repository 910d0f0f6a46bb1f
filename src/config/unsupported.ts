import type { Finding, Path } from './problem.ts';

/** A part of the format that this version does not carry out: refused, never ignored. */
interface Unsupported {
  /** `*` stands for every entry of a list and every member of an object. */
  readonly at: string;
  /** Completes "… is not in this version". */
  readonly what: string;
  /** The values that are meant; any but an empty list when left out. */
  readonly when?: (value: unknown) => boolean;
}

const isNot =
  (...values: readonly unknown[]) =>
  (value: unknown) =>
    !values.includes(value);

/** Shrinks as the parts arrive; nothing else in the code knows about it. */
const UNSUPPORTED: readonly Unsupported[] = [
  { at: 'tracing', what: '`tracing`' },
  { at: 'events', what: '`events`' },
];

/** What the reference page lists. */
export function unsupportedParts(): readonly string[] {
  return [...new Set(UNSUPPORTED.map(({ what }) => what))];
}

/** @param root The configuration as it stands in the files, valid or not. */
export function findUnsupported(root: unknown): readonly Finding[] {
  return UNSUPPORTED.flatMap(({ at, what, when = isNot(undefined, null) }) =>
    [...select(root, at.split('.'), [])]
      .filter(({ value }) => when(value) && !(Array.isArray(value) && value.length === 0))
      .map(({ path }) => ({
        path,
        code: 'CONFIG_INVALID' as const,
        message: `${what} is not in this version`,
      })),
  );
}

function* select(
  value: unknown,
  pattern: readonly string[],
  path: Path,
): Generator<{ path: Path; value: unknown }> {
  const [part, ...rest] = pattern;
  if (part === undefined) return void (yield { path, value });
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    if (part === '*')
      for (const [index, item] of value.entries()) yield* select(item, rest, [...path, index]);
    return;
  }
  for (const [name, member] of Object.entries(value))
    if (part === '*' || part === name) yield* select(member, rest, [...path, name]);
}
