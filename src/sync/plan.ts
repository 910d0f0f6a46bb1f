import { AppError } from '../core/errors.ts';
import type { Fingerprint, Fingerprinter } from '../core/fingerprint.ts';
import type { Source } from '../core/mapping.ts';
import type { LiveSecret, SecretChange, SecretManifest } from '../core/secret.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { compareText, type TargetId } from '../core/target.ts';
import { checkTarget } from './checks.ts';
import type { Desired } from './desired.ts';
import { ANNOTATION, LABEL, type Marks, marks, parseSources, sameMark } from './marks.ts';
import { type Claim, ownership } from './ownership.ts';
import { describeSource } from './value.ts';

export interface KeyPlan {
  readonly name: string;
  readonly action: 'add' | 'change' | 'remove' | 'keep';
  readonly before?: Fingerprint;
  readonly after?: Fingerprint;
}

/** What would change. `refuse`: we must not; `hold`: a person must say so; `fail`: it cannot be decided. */
export type Plan =
  | { readonly kind: 'create'; readonly keys: readonly KeyPlan[]; readonly manifest: SecretManifest }
  | {
      readonly kind: 'update';
      readonly keys: readonly KeyPlan[];
      readonly change: SecretChange;
      readonly live: LiveSecret;
      /** It was not ours before. */
      readonly adopts: boolean;
    }
  | { readonly kind: 'unchanged'; readonly keys: readonly KeyPlan[] }
  | {
      readonly kind: 'hold';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly error: AppError;
    }
  | { readonly kind: 'refuse' | 'fail'; readonly keys: readonly KeyPlan[]; readonly error: AppError };

export interface PlanInput extends Claim {
  readonly id: TargetId;
  readonly desired: Desired;
  readonly live: LiveSecret | undefined;
  readonly stores: ReadonlyMap<string, string>;
  readonly fingerprints: Fingerprinter;
}

export function plan(input: PlanInput): Plan {
  const { desired, live, mapping } = input;
  const owner = live === undefined ? undefined : ownership(live, input);
  if (owner?.kind === 'refused') return { kind: 'refuse', keys: [], error: owner.error };
  if (desired.kind === 'failed') return { kind: 'fail', keys: [], error: desired.error };
  if (desired.kind === 'missing')
    return { kind: 'fail', keys: [], error: absentError(desired.sources[0], live) };
  const gone = desired.skipped.find((source) => wasWritten(live, source));
  if (gone !== undefined) return { kind: 'fail', keys: [], error: absentError(gone, live) };
  if (live?.deleting)
    return { kind: 'fail', keys: [], error: new AppError('CONFLICT', { detail: 'it is being deleted' }) };

  const wrong = checkTarget(mapping.target.type, desired.data);
  if (wrong !== undefined) return { kind: 'refuse', keys: [], error: wrong };
  const keys = compareData(desired.data, live?.data ?? new Map(), input.fingerprints);
  const own = marks({ ...input, data: desired.data, sources: desired.sources });
  const { type, immutable } = mapping.target;
  const manifest: SecretManifest = { type, immutable, ...own, data: desired.data };
  if (live === undefined) return { kind: 'create', keys, manifest };
  return change(input, live, keys, manifest, owner?.kind === 'adoptable');
}

function change(
  { mapping }: PlanInput,
  live: LiveSecret,
  keys: readonly KeyPlan[],
  manifest: SecretManifest,
  adopts: boolean,
): Plan {
  const dropLabels = stale(live.ours?.labels, manifest.labels);
  const dropAnnotations = stale(live.ours?.annotations, manifest.annotations);
  const dropOwners = adopts && mapping.onConflict === 'adoptAndDropOwner';
  const sameData = keys.every(({ action }) => action === 'keep');
  const fixed = fixedBy(live, manifest, sameData);
  if (fixed !== undefined)
    return { kind: 'refuse', keys, error: new AppError('IMMUTABLE', { detail: fixed }) };
  if (manifest.data.size === 0 && live.data.size > 0)
    return { kind: 'hold', keys, live, error: new AppError('HELD', { detail: 'no key would be left' }) };
  const same =
    sameData &&
    !adopts &&
    live.immutable === manifest.immutable &&
    dropLabels.length === 0 &&
    dropAnnotations.length === 0 &&
    sameMarks(live, manifest);
  if (same) return { kind: 'unchanged', keys };
  return {
    kind: 'update',
    keys,
    live,
    adopts,
    change: { ...manifest, dropLabels, dropAnnotations, dropOwners },
  };
}

/** What the API server never changes in place. */
function fixedBy(live: LiveSecret, manifest: SecretManifest, sameData: boolean): string | undefined {
  if (live.type !== manifest.type) return `its type is ${live.type}, not ${manifest.type}`;
  if (!live.immutable) return undefined;
  if (!sameData) return 'it is immutable and its data would change';
  return manifest.immutable ? undefined : 'it is immutable and would no longer be';
}

function sameMarks(live: LiveSecret, { labels, annotations }: Marks): boolean {
  return (
    Object.entries(labels).every(([name, value]) => live.labels[name] === value) &&
    Object.entries(annotations).every(([name, value]) => sameMark(name, live.annotations[name], value))
  );
}

/** What we once set and no longer want; what others set is none of our business. */
function stale(
  ours: readonly string[] | undefined,
  wanted: Readonly<Record<string, string>>,
): readonly string[] {
  return (ours ?? []).filter((name) => !(name in wanted));
}

function compareData(
  wanted: ReadonlyMap<string, SecretValue>,
  live: ReadonlyMap<string, SecretValue>,
  fingerprints: Fingerprinter,
): readonly KeyPlan[] {
  const names = [...new Set([...wanted.keys(), ...live.keys()])].sort(compareText);
  return names.map((name): KeyPlan => {
    const [before, after] = [live.get(name), wanted.get(name)];
    const shown = {
      ...(before === undefined ? {} : { before: fingerprints.value(before) }),
      ...(after === undefined ? {} : { after: fingerprints.value(after) }),
    };
    if (before === undefined) return { name, action: 'add', ...shown };
    if (after === undefined) return { name, action: 'remove', ...shown };
    return { name, action: before.equals(after) ? 'keep' : 'change', ...shown };
  });
}

/** Whether the live target was made from this source; where that cannot be told, it was. */
function wasWritten(live: LiveSecret | undefined, source: Source): boolean {
  if (live?.labels[LABEL.mapping] === undefined) return false;
  const written = parseSources(live.annotations[ANNOTATION.sources]);
  return (
    written === undefined ||
    [...written.values()].some(({ store, key }) => store === source.store && key === source.key)
  );
}

function absentError(source: Source, live: LiveSecret | undefined): AppError {
  const kept = live === undefined ? {} : { detail: 'the target is kept as it is' };
  return new AppError('SOURCE_ABSENT', { about: describeSource(source), ...kept });
}
