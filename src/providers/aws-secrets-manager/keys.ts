import { AppError } from '../../core/errors.ts';

/** Describing this many keys costs no more than one page of a list. */
export const MAX_DESCRIBED = 2;

/** `!` occurs in names of secrets that other AWS services own, such as `rds!cluster-…`. */
const NAME = /^[\w/+=.@!-]{1,512}$/;
const ARN = /^arn:(aws[\w-]*):secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)$/;

/**
 * Checks a key: the name of a secret, or its ARN with or without the six characters that AWS appends to the name.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
 * @throws AppError CONFIG_INVALID for a key that cannot exist in AWS, so that AWS is not asked for it.
 */
export function checkKey(key: string, region: string): string {
  if (!key.startsWith('arn:')) return checkName(key);
  const [, , arnRegion, , name = ''] = ARN.exec(key) ?? [];
  if (arnRegion === undefined)
    throw invalid(
      'an ARN as key must have the form `arn:aws:secretsmanager:<region>:<account>:secret:<name>`',
    );
  // Another region would answer that the secret does not exist, which must not count as absence.
  if (arnRegion !== region)
    throw invalid(`the secret of this ARN is in ${arnRegion}, but the store is in ${region}`);
  checkName(name);
  return key;
}

/**
 * Names are plain texts that look like paths. A name with `.` or `..` segments is a mistake or an attack. An empty
 * segment is allowed, because `/` is an ordinary character.
 */
function checkName(name: string): string {
  if (!NAME.test(name)) {
    throw invalid('a name has 1 to 512 characters of `A-Z a-z 0-9 / _ + = . @ ! -`');
  }
  const segments = name.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    throw invalid('`.` and `..` segments are not allowed in a key');
  }
  return name;
}

/** The path of a search without a final `/`. Empty for all names. @throws AppError CONFIG_INVALID */
export function checkPath(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  if (trimmed.split('/').slice(1).includes('')) throw invalid('a path cannot contain `//`');
  return trimmed === '' ? '' : checkName(trimmed);
}

export type Version =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'stage'; readonly stage: string };

/**
 * A text in the form of a UUID is a version ID. Anything else is the label of a stage.
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): Version {
  if (/^[\da-z]{8}(-[\da-z]{4}){3}-[\da-z]{12}$/i.test(version)) return { kind: 'id', id: version };
  if (!/^[\x20-\x7e]{1,256}$/.test(version)) {
    throw invalid('a version must be a version ID or the label of a stage such as AWSPREVIOUS');
  }
  return { kind: 'stage', stage: version };
}

/** The writer of a version may choose its ID: any 32 to 64 characters. */
export function mayBeId(stage: string): boolean {
  return stage.length >= 32 && stage.length <= 64;
}

/**
 * All names that an event may use for a key: an ARN with or without its six added characters, and the name in it.
 * Two keys that may mean the same secret share a name. A read then decides whether they do.
 */
export function namesOf(key: string): readonly string[] {
  const name = ARN.exec(key)?.[4];
  if (name === undefined) return [key];
  return [key, name, ...(/-[A-Za-z0-9]{6}$/.test(name) ? [name.slice(0, -7)] : [])];
}

interface SecretIds {
  readonly ARN?: string | undefined;
  readonly Name?: string | undefined;
}

/** Whether a response is about this key. The ARN is the name with a hyphen and six characters appended. */
export function matchesKey(key: string, { ARN: arn, Name: name }: SecretIds): boolean {
  if (!key.startsWith('arn:')) return name === key;
  // A malformed response may contain anything here.
  if (typeof arn !== 'string') return false;
  return arn === key || (arn.startsWith(`${key}-`) && arn.length === key.length + 7);
}

/**
 * Finds the entry for a key. The end of a name can look like the added characters, so the full ARN of `a` could also be
 * a partial ARN of `a-abcdef`. The full match wins.
 */
export function findEntry<Entry extends SecretIds>(
  key: string,
  entries: readonly Entry[],
): Entry | undefined {
  return entries.find(({ ARN: arn }) => arn === key) ?? entries.find((entry) => matchesKey(key, entry));
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
