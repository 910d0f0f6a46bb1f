import { AppError } from '../core/errors.ts';
import type { Holdings, LiveSecret } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { checkPart, checkSize, FORBIDDEN_TYPES } from './checks.ts';
import type { KeyPlan } from './compare.ts';

interface Wanted {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, SecretValue>;
}

/** `view`: what of the Secret is ours; `alone`: what of that is nobody else's, as far as it is known. */
interface Ours {
  readonly view: LiveSecret;
  readonly alone: Holdings | undefined;
}

/** Unlike a race, it does not end by itself. */
const LET_GO =
  'Take what the message names out of the mapping, or have whoever holds it let it go: `kubectl get secret -o yaml --show-managed-fields` shows who that is.';

/** @param names Keys, labels and annotations that are to be merged, and that others hold. */
export function heldByOthers(names: readonly string[]): AppError {
  return new AppError('CONFLICT', {
    detail: `others hold ${names.join(', ')} with another value`,
    todo: LET_GO,
    refused: true,
  });
}

/** Why nothing may be merged into a Secret, or nothing. */
export function refusal(
  live: LiveSecret,
  wanted: Wanted,
  keys: readonly KeyPlan[],
  { view, alone }: Ours,
): AppError | undefined {
  const { data } = wanted;
  if (FORBIDDEN_TYPES.includes(live.type))
    return new AppError('TYPE_FORBIDDEN', { detail: `type ${live.type}` });
  const theirs = [
    ...keysOfOthers(live, data, alone?.data ?? [...view.data.keys()]),
    ...(alone === undefined ? [] : marksOfOthers(live, wanted, alone)),
  ];
  if (theirs.length > 0) return heldByOthers(theirs);
  if (live.immutable && keys.some(({ name, action }) => action !== 'keep' && !sameIn(live, data, name)))
    return new AppError('IMMUTABLE', { detail: 'it is immutable and its data would change' });
  const whole = new Map([...live.data, ...data]);
  // What others put there is theirs to answer for.
  const given = keys.filter(({ name, action }) => action !== 'keep' && data.has(name));
  return (
    checkSize(whole) ??
    checkPart(
      live.type,
      whole,
      given.map(({ name }) => name),
    )
  );
}

function keysOfOthers(live: LiveSecret, data: Wanted['data'], ours: readonly string[]): readonly string[] {
  const mayChange = new Set(ours);
  return [...data]
    .filter(([key, value]) => !mayChange.has(key) && live.data.get(key)?.equals(value) === false)
    .map(([key]) => key);
}

function marksOfOthers(live: LiveSecret, wanted: Wanted, alone: Holdings): readonly string[] {
  const held = (part: 'labels' | 'annotations') =>
    Object.entries(wanted[part])
      .filter(([name, value]) => Object.hasOwn(live[part], name) && live[part][name] !== value)
      .filter(([name]) => !alone[part].includes(name))
      .map(([name]) => name);
  return [
    ...held('labels').map((name) => `label ${name}`),
    ...held('annotations').map((name) => `annotation ${name}`),
  ];
}

function sameIn(live: LiveSecret, data: ReadonlyMap<string, SecretValue>, key: string): boolean {
  const [now, wanted] = [live.data.get(key), data.get(key)];
  return now !== undefined && wanted !== undefined && now.equals(wanted);
}
