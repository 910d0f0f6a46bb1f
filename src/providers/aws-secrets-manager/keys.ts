import { AppError } from '../../core/errors.ts';

/** Up to this many keys are described one by one. Their descriptions need no more requests than one page of a list. */
export const MAX_DESCRIBED = 2;

/** A name may contain `!`, because the secrets of other AWS services have names like `rds!cluster-…`. */
export const NAME = /^[\w/+=.@!-]{1,512}$/;
/** What AWS appends to a name in an ARN. A name may also end like this. */
const ARN_END = /-[A-Za-z0-9]{6}$/;
export const ARN = /^arn:(aws[\w-]*):secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)$/;

/**
 * Checks a key, which is the name or the ARN of a secret. The ARN may lack the six characters that AWS appends to the
 * name. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
 * @throws AppError CONFIG_INVALID for a key that cannot exist in AWS. No request is sent for such a key.
 */
export function checkKey(key: string, region: string): string {
  if (!key.startsWith('arn:')) return checkName(key);
  const [, , arnRegion, , name = ''] = ARN.exec(key) ?? [];
  if (arnRegion === undefined)
    throw invalid(
      'an ARN as key must have the form `arn:aws:secretsmanager:<region>:<account>:secret:<name>`',
    );
  // AWS would look in its own region only, and would respond that the secret does not exist. This response must not
  // count as absence.
  if (arnRegion !== region)
    throw invalid(`the secret of this ARN is in ${arnRegion}, but the store is in ${region}`);
  checkName(name);
  return key;
}

/**
 * Checks a name. AWS treats `/` as an ordinary character, so an empty segment is allowed. A `.` or `..` segment is
 * allowed in AWS too, but it is rejected here, because it is a mistake or an attack.
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

/**
 * Returns the path of a search without its final `/`. An empty path means all names. @throws AppError CONFIG_INVALID
 */
export function checkPath(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  if (trimmed.split('/').slice(1).includes('')) throw invalid('a path cannot contain `//`');
  return trimmed === '' ? '' : checkName(trimmed);
}

export type Version =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'stage'; readonly stage: string };

/**
 * Parses a version. A text in the form of a UUID is a version ID. Any other text is a stage label.
 * @throws AppError CONFIG_INVALID
 */
export function checkVersion(version: string): Version {
  if (/^[\da-z]{8}(-[\da-z]{4}){3}-[\da-z]{12}$/i.test(version)) return { kind: 'id', id: version };
  if (!/^[\x20-\x7e]{1,256}$/.test(version)) {
    throw invalid('a version must be a version ID or the label of a stage such as AWSPREVIOUS');
  }
  return { kind: 'stage', stage: version };
}

/**
 * Whether a stage label could be a version ID instead. The creator of a version may choose any ID of 32 to 64
 * characters.
 */
export function mayBeId(stage: string): boolean {
  return stage.length >= 32 && stage.length <= 64;
}

/**
 * Returns all names that an event may use for a key. The names are the key itself and, for an ARN, also the name in the
 * ARN, with and without the six characters that AWS appends. If two keys may mean the same secret, they have a name in
 * common. An event with this name causes a read of both keys.
 */
export function namesOf(key: string): readonly string[] {
  const name = ARN.exec(key)?.[4];
  if (name === undefined) return [key];
  return [key, name, ...(ARN_END.test(name) ? [name.slice(0, -7)] : [])];
}

/**
 * Returns the name in an ARN that ends with a hyphen and six characters. These may belong to the name, so the ARN may be
 * incomplete. Undefined for any other key.
 */
export function ambiguousName(key: string): string | undefined {
  const name = ARN.exec(key)?.[4];
  return name !== undefined && ARN_END.test(name) ? name : undefined;
}

interface SecretIds {
  readonly ARN?: string | undefined;
  readonly Name?: string | undefined;
}

/**
 * Whether a response is about this key. An ARN ends with the name, a hyphen and the six characters that AWS appends.
 */
export function matchesKey(key: string, { ARN: arn, Name: name }: SecretIds): boolean {
  if (!key.startsWith('arn:')) return name === key;
  // In a malformed response, the ARN may have any type.
  if (typeof arn !== 'string') return false;
  return arn === key || (arn.startsWith(`${key}-`) && arn.length === key.length + 7);
}

/**
 * Finds the entry for a key. The end of a name can look like the six characters that AWS appends, so a full ARN of `a`
 * could also be a partial ARN of `a-abcdef`. AWS takes it for the full ARN, and so does this function.
 */
export function findEntry<Entry extends SecretIds>(
  key: string,
  entries: readonly Entry[],
): Entry | undefined {
  return ambiguousName(key) === undefined
    ? entries.find((entry) => matchesKey(key, entry))
    : entries.find(({ ARN: arn }) => arn === key);
}

function invalid(detail: string): AppError {
  return new AppError('CONFIG_INVALID', { detail });
}
