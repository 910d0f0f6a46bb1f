import { AppError } from '../../core/errors.ts';

/**
 * Checks a name. A valid name can be part of a URL path without encoding.
 * @throws AppError CONFIG_INVALID if no object in Key Vault can have this name.
 */
export function checkName(name: string): string {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return name;
  throw invalid('a name in Azure Key Vault has 1 to 127 of the characters 0-9, a-z, A-Z and -');
}

/**
 * Checks a version. Key Vault uses 32 hexadecimal digits, but this check accepts any text that is safe in a URL path.
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): string {
  if (/^[0-9a-zA-Z]{1,127}$/.test(version)) return version;
  throw invalid('a version in Azure Key Vault has only the characters 0-9 and a-f');
}

/**
 * Checks the path of a search. Key Vault has no folders, so the path is the start of a name.
 * @throws AppError CONFIG_INVALID
 */
export function checkPrefix(path: string): string {
  if (/^[0-9a-zA-Z-]{0,127}$/.test(path)) return path;
  throw invalid(
    'a `path` in Azure Key Vault is the start of a name and has only the characters 0-9, a-z, A-Z and -',
  );
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
