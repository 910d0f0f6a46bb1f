import { durationText } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { matches } from '../core/glob.ts';
import { smallest } from '../core/lists.ts';
import type { Mapping, Policy } from '../core/mapping.ts';
import { isCurrentSecretRef } from '../core/read-result.ts';
import type { TargetId } from '../core/target.ts';
import { type Desired, searchesOf, sourcesOf, storeRef } from './desired.ts';
import { matchesPattern } from './find.ts';

// Decides whether a target follows the `policies` of the configuration.

/** What policies judge about a target. Undefined members are unknown. */
export interface PolicyUse {
  readonly namespace: string;
  readonly secret?: string | undefined;
  /** The keys that the mapping names or reads. */
  readonly keys: readonly string[];
  /** The labels that the mapping sets. Undefined for `mode: merge`, which sets none. */
  readonly labels?: readonly string[] | undefined;
  readonly stores: readonly string[];
}

export interface PolicyViolation {
  readonly rule: 'secretName' | 'keyName' | 'requireLabels' | 'stores';
  /** The name that violates the rule: of the Secret, the key, the missing label or the store. */
  readonly name: string;
  /** The text after the name of the mapping and a colon. */
  readonly message: string;
}

/** Returns each violation once, although several policies may have the same rule. */
export function policyViolations(policies: readonly Policy[], use: PolicyUse): readonly PolicyViolation[] {
  const { namespace } = use;
  const found = policies
    .filter(({ namespaces }) => namespaces.some((glob) => matches(glob, namespace)))
    .flatMap((policy) => violationsOf(policy, use));
  return [...new Map(found.map((violation) => [violation.message, violation])).values()];
}

function violationsOf(
  { secretName, keyName, requireLabels = [], stores }: Policy,
  { secret, keys, labels, stores: used, namespace }: PolicyUse,
): readonly PolicyViolation[] {
  const where = `in namespace ${namespace}`;
  const misnamed =
    secretName === undefined || secret === undefined || matchesPattern(secretName, secret) ? [] : [secret];
  const badKeys = keyName === undefined ? [] : keys.filter((key) => !matchesPattern(keyName, key));
  const missing = labels === undefined ? [] : requireLabels.filter((label) => !labels.includes(label));
  const foreign =
    stores === undefined ? [] : used.filter((store) => !stores.some((glob) => matches(glob, store)));
  return [
    ...misnamed.map((name) =>
      violation('secretName', name, `the name of Secret ${name} must match ${secretName} ${where}`),
    ),
    ...badKeys.map((name) =>
      violation('keyName', name, `the name of key ${name} must match ${keyName} ${where}`),
    ),
    ...missing.map((name) => violation('requireLabels', name, `the target needs the label ${name} ${where}`)),
    ...foreign.map((name) => violation('stores', name, `values must not come from store ${name} ${where}`)),
  ];
}

function violation(rule: PolicyViolation['rule'], name: string, message: string): PolicyViolation {
  return { rule, name, message };
}

/**
 * Returns the error of a target that violates a policy. Names the first violation.
 *
 * @param sourced The keys that the sources give. By default only the keys that the mapping names.
 */
export function policyError(
  mapping: Mapping,
  { namespace, secret }: TargetId,
  sourced: Iterable<string> = Object.keys(mapping.data),
): AppError | undefined {
  const { policies, target, template } = mapping;
  if (policies === undefined) return undefined;
  const [first, ...others] = policyViolations(policies, {
    ...{ namespace, secret },
    keys: [...(template?.only ? [] : sourced), ...Object.keys(template?.data ?? {})],
    labels: target.mode === 'merge' ? undefined : Object.keys(target.labels),
    stores: [...new Set([...sourcesOf(mapping), ...searchesOf(mapping)].map(({ store }) => store))],
  });
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : `; and ${others.length} more`;
  return new AppError('POLICY_VIOLATED', { detail: `${first.message}${more}` });
}

/** A source and the time when the store created its current value, in milliseconds since 1970. */
export interface SourceTime {
  readonly store: string;
  readonly key: string;
  readonly at: number;
}

/** Returns the creation times of the sources, for stores that return them. A pinned version does not count. */
export function agesOf(mapping: Mapping, desired: Desired): readonly SourceTime[] {
  if (mapping.policies === undefined || desired.kind !== 'ready') return [];
  const nameOf = ({ store, key }: Omit<SourceTime, 'at'>) => `${store} ${key}`;
  const fixed = new Set(
    sourcesOf(mapping)
      .filter((source) => !isCurrentSecretRef(storeRef(source).ref))
      .map(nameOf),
  );
  return [...desired.sources].flatMap(([name, { store, key }]) => {
    const at = desired.createdAt?.get(name);
    return at === undefined || fixed.has(nameOf({ store, key })) ? [] : [{ store, key, at }];
  });
}

/**
 * Returns a warning if a source is older than the policies for the namespace allow. It names the oldest source. A value
 * that is too old never stops a target, because the Secret works, and only the store can rotate the value.
 */
export function ageWarning(
  { policies = [] }: Mapping,
  { namespace }: TargetId,
  sources: Iterable<SourceTime>,
  now: number,
): readonly AppError[] {
  const limits = policies
    .filter(({ namespaces }) => namespaces.some((glob) => matches(glob, namespace)))
    .flatMap(({ maxAgeMs }) => maxAgeMs ?? []);
  if (limits.length === 0) return [];
  const maxAgeMs = smallest(limits);
  const old = new Map([...sources].map((source) => [`${source.store} ${source.key}`, source]));
  for (const [name, { at }] of old) if (now - at <= maxAgeMs) old.delete(name);
  if (old.size === 0) return [];
  const since = smallest([...old.values()].map(({ at }) => at));
  const oldest = [...old.values()].find(({ at }) => at === since);
  const more = old.size === 1 ? '' : `; and ${old.size - 1} more`;
  return [
    new AppError('POLICY_VIOLATED', {
      subject: `store ${oldest?.store}, key ${oldest?.key}`,
      detail: `the value is from ${new Date(since).toISOString().slice(0, 10)}, and \`maxAge\` is ${durationText(maxAgeMs)}${more}`,
      remedy: 'Rotate the value in its store. The Secret stays unchanged until then.',
    }),
  ];
}
