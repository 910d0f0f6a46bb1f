import { AppError } from '../core/errors.ts';
import type { LiveSecret, OwnedFields } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { checkKeys, checkSize, FORBIDDEN_TYPES } from './checks.ts';
import type { KeyPlan } from './drift.ts';

interface DesiredFields {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: ReadonlyMap<string, SecretValue>;
}

/** `view`: the part of the Secret that we merged. `exclusive`: the fields of that part that only we own, if known. */
interface OwnedPart {
  readonly view: LiveSecret;
  readonly exclusive: OwnedFields | undefined;
}

/** The remedy for a field conflict, which persists until a person resolves it. */
const CONFLICT_REMEDY =
  'Remove the named fields from the mapping, or have their owner release them. `kubectl get secret -o yaml --show-managed-fields` shows the owner.';

/** @param names The keys, labels and annotations that others own. */
export function heldByOthers(names: readonly string[]): AppError {
  return new AppError('CONFLICT', {
    detail: `others hold ${names.join(', ')} with another value`,
    remedy: CONFLICT_REMEDY,
    isRefusal: true,
  });
}

/** Returns the reason why nothing may be merged into a Secret. Undefined if the merge is allowed. */
export function mergeRefusal(
  live: LiveSecret,
  desired: DesiredFields,
  keys: readonly KeyPlan[],
  { view, exclusive }: OwnedPart,
): AppError | undefined {
  const { data } = desired;
  if (FORBIDDEN_TYPES.includes(live.type))
    return new AppError('TYPE_FORBIDDEN', { detail: `type ${live.type}` });
  const conflicts = [
    ...conflictingKeys(live, data, exclusive?.data ?? [...view.data.keys()]),
    ...(exclusive === undefined ? [] : conflictingMetadata(live, desired, exclusive)),
  ];
  if (conflicts.length > 0) return heldByOthers(conflicts);
  if (live.immutable && keys.some(({ name, action }) => action !== 'keep' && !sameIn(live, data, name)))
    return new AppError('IMMUTABLE', { detail: 'it is immutable and its data would change' });
  const merged = new Map([...live.data, ...data]);
  // Check only our own keys.
  const changedKeys = keys.filter(({ name, action }) => action !== 'keep' && data.has(name));
  return (
    checkSize(merged) ??
    checkKeys(
      live.type,
      merged,
      changedKeys.map(({ name }) => name),
    )
  );
}

function conflictingKeys(
  live: LiveSecret,
  data: DesiredFields['data'],
  ownKeys: readonly string[],
): readonly string[] {
  const mayChange = new Set(ownKeys);
  return [...data]
    .filter(([key, value]) => !mayChange.has(key) && live.data.get(key)?.equals(value) === false)
    .map(([key]) => key);
}

function conflictingMetadata(
  live: LiveSecret,
  desired: DesiredFields,
  alone: OwnedFields,
): readonly string[] {
  const conflictsIn = (part: 'labels' | 'annotations') =>
    Object.entries(desired[part])
      .filter(([name, value]) => Object.hasOwn(live[part], name) && live[part][name] !== value)
      .filter(([name]) => !alone[part].includes(name))
      .map(([name]) => name);
  return [
    ...conflictsIn('labels').map((name) => `label ${name}`),
    ...conflictsIn('annotations').map((name) => `annotation ${name}`),
  ];
}

function sameIn(live: LiveSecret, data: ReadonlyMap<string, SecretValue>, key: string): boolean {
  const [current, desired] = [live.data.get(key), data.get(key)];
  return current !== undefined && desired !== undefined && current.equals(desired);
}
