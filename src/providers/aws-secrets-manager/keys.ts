import { AppError } from '../../core/errors.ts';

/** For so few keys their descriptions cost no more than a page of the list. */
export const MOST_DESCRIBED = 2;

/** `!` is in the names of secrets that other services of AWS own, such as `rds!cluster-…`. */
const NAME = /^[\w/+=.@!-]{1,512}$/;
const ARN = /^arn:(aws[\w-]*):secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)$/;

/**
 * A key is the name of a secret, or its ARN with or without the six characters that AWS adds to the name.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
 * @throws AppError CONFIG_INVALID for what AWS cannot have, so that it is not asked for it.
 */
export function checkKey(key: string, region: string): string {
  if (!key.startsWith('arn:')) return checkName(key);
  const [, , of, , name = ''] = ARN.exec(key) ?? [];
  if (of === undefined)
    throw invalid('an ARN as key is `arn:aws:secretsmanager:<region>:<account>:secret:<name>`');
  // Another region would answer that the secret does not exist, and that must not pass for an absence.
  if (of !== region) throw invalid(`the secret of this ARN is in ${of}, and the store in ${region}`);
  checkName(name);
  return key;
}

/**
 * Path-like names are all there is, so a key that only looks as if it led elsewhere is a mistake or an attempt. An empty
 * segment leads nowhere else: `/` is a character like others.
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

/** The path of a search, without `/` at its end; empty for everything. @throws AppError CONFIG_INVALID */
export function checkPath(path: string): string {
  const plain = path.replace(/\/+$/, '');
  if (plain.split('/').slice(1).includes('')) throw invalid('a path has no `//`');
  return plain === '' ? '' : checkName(plain);
}

export type Version =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'stage'; readonly stage: string };

/**
 * What has the form of a UUID is a version id, everything else the label of a stage.
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): Version {
  if (/^[\da-z]{8}(-[\da-z]{4}){3}-[\da-z]{12}$/i.test(version)) return { kind: 'id', id: version };
  if (!/^[\x20-\x7e]{1,256}$/.test(version)) {
    throw invalid('a version is the id of one, or the label of a stage such as AWSPREVIOUS');
  }
  return { kind: 'stage', stage: version };
}

/** Whoever writes a version may choose its id: 32 to 64 characters of any kind. */
export function mayBeId(stage: string): boolean {
  return stage.length >= 32 && stage.length <= 64;
}

/**
 * All the names by which an event may speak of a key: an ARN, whole or without its six added characters, and the name
 * in it. Two keys that may mean the same secret have one in common; that they mean it is for a read to tell.
 */
export function namesOf(key: string): readonly string[] {
  const name = ARN.exec(key)?.[4];
  if (name === undefined) return [key];
  return [key, name, ...(/-[A-Za-z0-9]{6}$/.test(name) ? [name.slice(0, -7)] : [])];
}

interface Named {
  readonly ARN?: string | undefined;
  readonly Name?: string | undefined;
}

/** Whether an answer is about this key. An ARN is the name with a hyphen and six characters after it. */
export function isAbout(key: string, { ARN: arn, Name: name }: Named): boolean {
  if (!key.startsWith('arn:')) return name === key;
  // An answer of another form may hold anything there.
  if (typeof arn !== 'string') return false;
  return arn === key || (arn.startsWith(`${key}-`) && arn.length === key.length + 7);
}

/**
 * The entry that AWS means by this key. The end of a name may look like the added characters, so the whole ARN of `a`
 * may also be that of `a-abcdef` without them: the whole one comes first.
 */
export function pick<Entry extends Named>(key: string, entries: readonly Entry[]): Entry | undefined {
  return entries.find(({ ARN: arn }) => arn === key) ?? entries.find((entry) => isAbout(key, entry));
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
