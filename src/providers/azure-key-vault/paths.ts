import { AppError } from '../../core/errors.ts';

/**
 * A name goes into a path as it is, so nothing else may be in it.
 * @throws AppError CONFIG_INVALID for what cannot be the name of an object in Key Vault.
 */
export function checkName(name: string): string {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return name;
  throw invalid('a name in Azure Key Vault has 1 to 127 of the characters 0-9, a-z, A-Z and -');
}

/**
 * A version is 32 hexadecimal digits. Others are asked for too, as long as they stay in their place of the path.
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): string {
  if (/^[0-9a-zA-Z]{1,127}$/.test(version)) return version;
  throw invalid('a version in Azure Key Vault has only the characters 0-9 and a-f');
}

/**
 * The beginning of names: there are no folders.
 * @throws AppError CONFIG_INVALID
 */
export function checkPrefix(path: string): string {
  if (/^[0-9a-zA-Z-]{0,127}$/.test(path)) return path;
  throw invalid(
    'a `path` in Azure Key Vault is the beginning of the name, of the characters 0-9, a-z, A-Z and -',
  );
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
