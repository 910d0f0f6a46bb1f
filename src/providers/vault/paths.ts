import { AppError } from '../../core/errors.ts';

/**
 * A path for node-vault, which encodes nothing by itself: `..` would climb out of the mount, `?` and `#` would
 * cut. Vault decodes each segment once, and a `/` in a name is then a `/` of the path.
 * @throws AppError CONFIG_INVALID for a segment that cannot be sent as it is.
 */
export function encodePath(...parts: readonly string[]): string {
  return parts
    .flatMap((part) => part.split('/'))
    .map(encodeSegment)
    .join('/');
}

function encodeSegment(segment: string): string {
  if (segment === '' || segment === '.' || segment === '..') {
    throw invalid('empty, `.` and `..` segments are not allowed in a path');
  }
  // A lone surrogate has no UTF-8 form, and `encodeURIComponent` would throw a text that quotes nothing useful.
  if (!segment.isWellFormed() || /[\u0000-\u001f\u007f]/.test(segment)) {
    throw invalid('a path must be well-formed Unicode without control characters');
  }
  // node-vault puts names into its paths as if they were HTML, and would write `'` as `&#39;`.
  return encodeURIComponent(segment).replaceAll("'", '%27');
}

/**
 * A version of the key/value engine, version 2: a whole number from 1. The server reads 0 as "the current one".
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): string {
  if (!/^[1-9]\d{0,14}$/.test(version)) throw invalid('a version in Vault is a whole number from 1');
  return version;
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
