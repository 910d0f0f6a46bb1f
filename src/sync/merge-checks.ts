import { AppError } from '../core/errors.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { checkPart, FORBIDDEN_TYPES, MAX_SECRET_BYTES } from './checks.ts';
import type { KeyPlan } from './compare.ts';

/** Why nothing may be merged into a Secret, or nothing. `view`: our part of it. */
export function refusal(
  live: LiveSecret,
  data: ReadonlyMap<string, SecretValue>,
  keys: readonly KeyPlan[],
  view: LiveSecret,
): AppError | undefined {
  if (FORBIDDEN_TYPES.includes(live.type))
    return new AppError('TYPE_FORBIDDEN', { detail: `type ${live.type}` });
  const theirs = [...data]
    .filter(([key, value]) => isHeldByOthers(key, value, live, view))
    .map(([key]) => key);
  if (theirs.length > 0)
    return new AppError('CONFLICT', { detail: `others hold ${theirs.join(', ')} with another value` });
  if (live.immutable && keys.some(({ name, action }) => action !== 'keep' && !sameIn(live, data, name)))
    return new AppError('IMMUTABLE', { detail: 'it is immutable and its data would change' });
  const whole = new Map([...live.data, ...data]);
  const size = [...whole.values()].reduce((sum, value) => sum + value.size, 0);
  if (size > MAX_SECRET_BYTES)
    return new AppError('TOO_LARGE', { detail: `${size} bytes, ${MAX_SECRET_BYTES} are allowed` });
  // What others put there is theirs to answer for.
  const given = keys.filter(({ name, action }) => action !== 'keep' && data.has(name));
  return checkPart(
    live.type,
    whole,
    given.map(({ name }) => name),
  );
}

function isHeldByOthers(key: string, value: SecretValue, live: LiveSecret, view: LiveSecret): boolean {
  const now = live.data.get(key);
  return now !== undefined && !view.data.has(key) && !now.equals(value);
}

function sameIn(live: LiveSecret, data: ReadonlyMap<string, SecretValue>, key: string): boolean {
  const [now, wanted] = [live.data.get(key), data.get(key)];
  return now !== undefined && wanted !== undefined && now.equals(wanted);
}
