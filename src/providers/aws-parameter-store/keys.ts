import { AppError } from '../../core/errors.ts';
import { type Expectation, isRoot, suggestIfDifferent, withoutEmpty } from '../name-rules.ts';

const ARN = /^arn:(aws[\w-]*):ssm:([a-z0-9-]+):(\d{12}):parameter(\/.+)$/;
const MAX_LENGTH = 1_011;
/** Parameter Store reads secrets of Secrets Manager under these names. Their version is always 0. */
const SECRETS = /^\/?aws\/reference\/secretsmanager(\/|$)/;

/**
 * Checks a key, which is the name or the ARN of a parameter.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
 * @returns What is expected instead, for a key that cannot exist in Parameter Store.
 */
export function checkKey(key: string, region: unknown): Expectation | undefined {
  if (!/^arn:/i.test(key)) return checkName(key);
  const [, , arnRegion, , path = ''] = ARN.exec(key) ?? [];
  if (arnRegion === undefined)
    return { expected: 'a name, or an ARN: `arn:aws:ssm:<region>:<account>:parameter/<name>`' };
  // AWS would look in its own region only, and would respond that the parameter does not exist. This response must not
  // count as absence. An invalid region gives no error here, because the schema reports it.
  if (typeof region === 'string' && /^[a-z0-9-]{1,64}$/.test(region) && arnRegion !== region)
    return { expected: `an ARN of the store's own region \`${region}\`, got one of \`${arnRegion}\`` };
  return checkName(path);
}

function checkName(name: string): Expectation | undefined {
  const selector = /^([\w./-]+):([\w.-]+)$/.exec(name);
  if (selector !== null)
    return { expected: 'a name without `:`; write the part after the colon as `version`' };
  if (!/^[\w./-]+$/.test(name) || name.length > MAX_LENGTH)
    return {
      expected: `a parameter name: 1 to ${MAX_LENGTH} of \`A-Z a-z 0-9 / _ . -\``,
      ...suggestIfDifferent(name, name.trim()),
    };
  const segments = name.replace(/^\//, '').split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: 'a name without `.` and `..` segments' };
  if (SECRETS.test(name))
    return {
      expected: 'a parameter of Parameter Store; for a secret, use a store of kind `aws-secrets-manager`',
    };
  if (segments.includes(''))
    return {
      expected: 'a name without `/` at its end and without `//`',
      ...suggestIfDifferent(name, slashed(name)),
    };
  if (segments.length > 1 && !name.startsWith('/'))
    return { expected: 'a name with `/` at its start, because it has levels', suggested: `/${name}` };
  return undefined;
}

function slashed(name: string): string {
  const plain = withoutEmpty(name);
  return plain === '' ? '' : `/${plain}`;
}

/** Checks the path of a search. */
export function checkPath(path: string): Expectation | undefined {
  if (isRoot(path)) return undefined;
  const trimmed = path.replace(/\/$/, '');
  const violation = checkName(trimmed);
  if (violation !== undefined || trimmed.startsWith('/')) return violation;
  return { expected: 'a path that starts with `/`', suggested: `/${path}` };
}

/** Checks a version: a number, or a label. A label never begins with a digit, so it is never a number. */
export function checkVersion(version: string): Expectation | undefined {
  return /^([1-9]\d{0,14}|(?!\d|aws|ssm)[\w.-]{1,100})$/i.test(version)
    ? undefined
    : { expected: 'a version number, or a label such as `blue`' };
}

/** @throws AppError CONFIG_INVALID. No request is sent for a text that breaks a rule. */
export function requireValid(what: string, violation: Expectation | undefined): void {
  if (violation !== undefined)
    throw new AppError('CONFIG_INVALID', {
      detail: `its ${what} is invalid: expected ${violation.expected}`,
    });
}

/**
 * Returns the name of a parameter in the form in which names can be compared. The ARN contains the name without its
 * leading slash, so a name without levels has the same ARN with and without this slash.
 */
export function plainName(key: string): string {
  const name = ARN.exec(key)?.[4] ?? key;
  return /^\/[^/]*$/.test(name) ? name.slice(1) : name;
}

/**
 * Returns all names that an event may use for a key. Two keys that may mean the same parameter have a name in common.
 */
export function namesOf(key: string): readonly string[] {
  const name = plainName(key);
  return [...new Set([key, name, ...(name.startsWith('/') ? [] : [`/${name}`])])];
}
