import { isFingerprint } from '../core/fingerprint.ts';
import type { Naming } from '../core/mapping.ts';

/** Tells what a rule expects. Returned for a text that breaks the rule. */
export interface Expectation {
  /** The end of the sentence "expected …". */
  readonly expected: string;
  /** The text that was probably meant. */
  readonly suggested?: string;
}

/**
 * The rules of one store for keys, versions and search paths in a configuration. Each check returns undefined for a
 * valid text. The provider checks them again at run time, because searches and rollbacks can produce texts that are not
 * in the configuration.
 */
export interface NameRules {
  /** Describes how names behave in searches, for example whether they form folders. */
  readonly naming: Naming;
  readonly hasTags: boolean;
  /** Whether a source may have the field `object`. */
  readonly hasObjects: boolean;
  key(key: string): Expectation | undefined;
  version(version: string): Expectation | undefined;
  /** Checks the path of a search. */
  search(path: string): Expectation | undefined;
}

/** The fields of a store in the configuration before validation. Each may have any type. */
export type StoreFields = Readonly<Record<string, unknown>>;

/** Whether a path means the whole store. */
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

/**
 * Returns the version rule for a store that keeps no versions. As a version, the store accepts only the fingerprint of
 * a value.
 */
export function fingerprintOnly(reason: string): NameRules['version'] {
  return (version) =>
    isFingerprint(version)
      ? undefined
      : { expected: `no \`version\`, or the fingerprint of the only accepted value: ${reason}` };
}

/** Removes the empty segments of a path. */
export function withoutEmpty(path: string): string {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .join('/');
}

export function suggestIfDifferent(actual: string, suggested: string): { suggested?: string } {
  return suggested === actual || suggested === '' ? {} : { suggested };
}
