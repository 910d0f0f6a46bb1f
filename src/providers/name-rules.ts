import { isFingerprint } from '../core/fingerprint.ts';
import type { Naming } from '../core/mapping.ts';

/** What a rule expects instead of an invalid text. */
export interface Expectation {
  /** Completes the sentence "expected …". */
  readonly expected: string;
  /** The probable correction. */
  readonly suggested?: string;
}

/**
 * The rules of one store for the texts in a configuration. Each check returns `undefined` for a valid text. The
 * provider checks them again at run time, because searches and rollbacks can produce other names.
 */
export interface NameRules {
  /** How the names behave in searches. */
  readonly naming: Naming;
  readonly hasTags: boolean;
  /** Whether a source may select an `object`. */
  readonly hasObjects: boolean;
  key(key: string): Expectation | undefined;
  version(version: string): Expectation | undefined;
  /** Checks the path of a search. */
  search(path: string): Expectation | undefined;
}

/** The fields of a store before validation. A field may have any type. */
export type StoreFields = Readonly<Record<string, unknown>>;

/** An empty path searches the whole store. */
export function isRoot(path: string): boolean {
  return path === '' || path === '/';
}

/** Checks a path by the rules that Vault and file systems share. */
export function checkPath(what: string, path: string): Expectation | undefined {
  const segments = path.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: `${what} without \`.\` and \`..\` segments` };
  if (!path.isWellFormed() || /[\u0000-\u001f\u007f]/.test(path))
    return { expected: `${what}, of well-formed Unicode without control characters` };
  if (!segments.includes('')) return undefined;
  return {
    expected: `${what} without \`/\` at its ends and without \`//\``,
    ...suggestIfDifferent(path, withoutEmpty(path)),
  };
}

/** The version rule of stores without versions. They accept only the fingerprint of a value. */
export function fingerprintOnly(reason: string): NameRules['version'] {
  return (version) =>
    isFingerprint(version)
      ? undefined
      : { expected: `no \`version\`, or the fingerprint of the only accepted value: ${reason}` };
}

/** Removes empty segments. */
export function withoutEmpty(path: string): string {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .join('/');
}

export function suggestIfDifferent(actual: string, suggested: string): { suggested?: string } {
  return suggested === actual || suggested === '' ? {} : { suggested };
}
