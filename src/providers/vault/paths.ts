import { AppError } from '../../core/errors.ts';

/**
 * Encodes a path, because node-vault does not do this. Without encoding, `..` would leave the mount, and `?` and `#`
 * would cut off the path. Vault decodes each segment once, so it treats even an encoded `/` as a separator.
 * @throws AppError CONFIG_INVALID for a segment that cannot be sent unchanged.
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
  // A lone surrogate has no UTF-8 form, so `encodeURIComponent` would throw a URIError.
  if (!segment.isWellFormed() || /[\u0000-\u001f\u007f]/.test(segment)) {
    throw invalid('a path must be well-formed Unicode without control characters');
  }
  // node-vault escapes paths as HTML, and would turn `'` into `&#39;`.
  return encodeURIComponent(segment).replaceAll("'", '%27');
}

/**
 * Checks a version. In key/value version 2, a version is a whole number from 1. The server would treat 0 as the current
 * version.
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): string {
  if (!/^[1-9]\d{0,14}$/.test(version)) throw invalid('a version in Vault must be a whole number from 1');
  return version;
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
