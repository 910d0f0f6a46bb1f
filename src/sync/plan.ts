import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Holdings, LiveSecret, MergeManifest, SecretChange, SecretManifest } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { type AbsenceInput, judgeAbsence } from './absence.ts';
import { carrying, noLongerWanted } from './carried.ts';
import { checkTarget } from './checks.ts';
import { compareData, type KeyPlan } from './compare.ts';
import { type Desired, sourcesOf } from './desired.ts';
import { isDrift } from './drift.ts';
import { hasAll, LABEL, type Marks, marks, PIN, type PinMark, sameMark } from './marks.ts';
import { type FormerMerge, type Merger, mergeMark, mergesIn, planMerge } from './merge.ts';
import { type Claim, ending, ownership } from './ownership.ts';
import { withTemplates } from './template.ts';

/**
 * What would change. `delete` is a proposal, which the one destroying step of the instance carries out or holds;
 * `hold`: the same, but only a person may say so; `refuse`: we must not; `fail`: it cannot be decided.
 */
export type Plan =
  | { readonly kind: 'create'; readonly keys: readonly KeyPlan[]; readonly manifest: SecretManifest }
  | {
      readonly kind: 'update';
      readonly keys: readonly KeyPlan[];
      readonly change: SecretChange;
      readonly live: LiveSecret;
      /** It was not ours before. */
      readonly adopts: boolean;
      /** Nothing but a change by hand is undone. */
      readonly drift: boolean;
    }
  | {
      /** Keys of ours in a Secret of somebody else. */
      readonly kind: 'merge';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly manifest: MergeManifest;
      /** To be applied before it, in this order: what was merged under a former name becomes ours. */
      readonly first: readonly MergeManifest[];
      readonly drift: boolean;
    }
  | { readonly kind: 'unchanged'; readonly keys: readonly KeyPlan[] }
  | {
      /** As `delete`, and then created anew at once: what the API server never changes in place has changed. */
      readonly kind: 'recreate';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly manifest: SecretManifest;
      readonly drift: boolean;
    }
  | { readonly kind: 'delete'; readonly keys: readonly KeyPlan[]; readonly live: LiveSecret }
  | {
      readonly kind: 'hold';
      readonly keys: readonly KeyPlan[];
      readonly live: LiveSecret;
      readonly error: AppError;
      /** Only our keys in a Secret of somebody else would end, and the Secret stays. */
      readonly ending?: MergeManifest;
    }
  | { readonly kind: 'refuse' | 'fail'; readonly keys: readonly KeyPlan[]; readonly error: AppError };

/** Whether what is there is somebody else's, so that it is no target of ours. */
export function isOfOthers(plan: Plan): boolean {
  return plan.kind === 'refuse' && (plan.error.code === 'NOT_OWNED' || plan.error.code === 'TARGET_CLAIMED');
}

export interface PlanInput extends Claim, Pick<AbsenceInput, 'proven' | 'writtenWithout'> {
  readonly id: TargetId;
  readonly desired: Desired;
  readonly live: LiveSecret | undefined;
  readonly stores: ReadonlyMap<string, string>;
  readonly fingerprints: Fingerprinter;
  /** With `mode: merge`, the keys that the mapping's field manager holds. */
  readonly merged: readonly string[];
  /** With `mode: merge`, what it holds under former names of the instance; none where there is nothing. */
  readonly former?: readonly FormerMerge[];
  /** With `mode: merge`, what mappings hold that want it no longer: this one may be theirs under another name. */
  readonly left?: readonly FormerMerge[];
  /** With `mode: merge`, what merges hold of the Secret and nobody beside them. Left out: that is not known. */
  readonly heldAlone?: (merges: readonly Merger[]) => Holdings;
  /** `mapping` is that of a pin, and so is what it desires. */
  readonly pin?: PinMark | undefined;
}

export function plan(input: PlanInput): Plan {
  try {
    return input.mapping.target.mode === 'merge' ? planMerge(input) : planOwn(input);
  } catch (error) {
    // A template that cannot be rendered: what was there stays.
    if (error instanceof AppError) return { kind: 'fail', keys: [], error };
    throw error;
  }
}

function planOwn(input: PlanInput): Plan {
  const { desired, live, mapping } = input;
  const owner = live === undefined ? undefined : ownership(live, input);
  if (owner?.kind === 'refused') return { kind: 'refuse', keys: [], error: owner.error };
  if (desired.kind === 'failed') return { kind: 'fail', keys: [], error: desired.error };
  const ends = live && ending(live);
  if (ends !== undefined) return { kind: 'fail', keys: [], error: ends };

  // What is not ours was never made from anything, whatever its annotations say.
  const own = owner?.kind === 'ours' ? live : undefined;
  const absence = judgeAbsence(desired, sourcesOf(mapping), { ...input, live: own });
  if (absence.kind === 'stop') return { kind: 'fail', keys: [], error: absence.error };
  if (absence.kind === 'delete' && own !== undefined) return removal(own, input);

  const data = withTemplates(mapping, desired);
  const wrong = checkTarget(mapping.target.type, data);
  if (wrong !== undefined) return { kind: 'refuse', keys: [], error: wrong };
  const keys = compareData(data, live?.data ?? new Map(), input.fingerprints);
  const removed = absence.kind === 'go' ? absence.removed : [];
  const made = marks({ ...input, data, sources: desired.sources, removed });
  const { type, immutable } = mapping.target;
  const manifest: SecretManifest = { type, immutable, ...made, data };
  if (live === undefined) return { kind: 'create', keys, manifest };
  return change(input, live, keys, manifest, owner?.kind === 'adoptable');
}

const NOTHING_KEPT = {
  detail: 'no key would be left of it',
  todo: 'Check the sources of the mapping, or delete the Secret yourself.',
};

/** `recreate` would change nothing. */
const OF_OTHERS =
  'We delete nothing that we did not make: delete the Secret yourself, or keep type and data as they are.';

function change(
  input: PlanInput,
  live: LiveSecret,
  keys: readonly KeyPlan[],
  manifest: SecretManifest,
  adopts: boolean,
): Plan {
  const { mapping, id, fingerprints } = input;
  const dropLabels = noLongerWanted(live, manifest, 'labels');
  const dropAnnotations = [
    ...noLongerWanted(live, manifest, 'annotations'),
    ...falsePin(live, manifest),
    ...mergedBefore(live, input),
  ];
  const dropOwners = adopts && mapping.onConflict === 'adoptAndDropOwner';
  const sameData = keys.every(({ action }) => action === 'keep');
  const fixed = fixedBy(live, manifest, sameData);
  // What we did not write ourselves is never destroyed, whatever its labels say.
  const mayDestroy = !adopts && live.ours !== undefined;
  if (fixed !== undefined && !(mapping.target.recreate && mayDestroy)) {
    const todo = fixed === LASTING ? { todo: SAY_SO } : mayDestroy ? {} : { todo: OF_OTHERS };
    return { kind: 'refuse', keys, error: new AppError('IMMUTABLE', { detail: fixed, ...todo }) };
  }
  if (manifest.data.size === 0 && live.data.size > 0)
    return mayDestroy
      ? { kind: 'hold', keys, live, error: new AppError('HELD', { detail: 'no key would be left' }) }
      : { kind: 'refuse', keys, error: new AppError('NOT_OWNED', NOTHING_KEPT) };
  const kept = dropLabels.length === 0 && dropAnnotations.length === 0;
  const isOfWanted = (it: string) => fingerprints.isOfTarget(it, id, manifest.data);
  const drift = !adopts && kept && isDrift({ live, wanted: manifest, isOfWanted });
  if (fixed !== undefined) return { kind: 'recreate', keys, live, manifest: carrying(live, manifest), drift };
  const same =
    sameData && !adopts && live.immutable === manifest.immutable && kept && sameMarks(live, manifest);
  if (same) return { kind: 'unchanged', keys };
  return {
    kind: 'update',
    keys,
    live,
    adopts,
    drift,
    change: { ...manifest, dropLabels, dropAnnotations, dropOwners },
  };
}

/** The end of a target. Labels can be copied with a Secret, so its field manager must say too that we wrote it. */
export function removal(
  live: LiveSecret,
  { fingerprints, ...instances }: Pick<PlanInput, 'instance' | 'formerInstances' | 'fingerprints'>,
): Plan {
  const keys = compareData(new Map(), live.data, fingerprints);
  const owner = live.labels[LABEL.mapping] === undefined ? undefined : live.labels[LABEL.instance];
  if (owner === undefined || !instancesOf(instances).includes(owner))
    return { kind: 'refuse', keys: [], error: new AppError('NOT_OWNED') };
  if (live.ours !== undefined) return { kind: 'delete', keys, live };
  const detail = 'its labels say that it is ours, but we never wrote it';
  return { kind: 'refuse', keys: [], error: new AppError('NOT_OWNED', { detail }) };
}

/** Type and data are as they are to be. */
const LASTING = 'it is immutable and would no longer be';
const SAY_SO = 'Say `target.immutable: true`, or delete the Secret yourself: it is made anew.';

/** What the API server never changes in place. */
function fixedBy(live: LiveSecret, manifest: SecretManifest, sameData: boolean): string | undefined {
  if (live.type !== manifest.type) return `its type is ${live.type}, not ${manifest.type}`;
  if (!live.immutable) return undefined;
  if (!sameData) return 'it is immutable and its data would change';
  return manifest.immutable ? undefined : LASTING;
}

function sameMarks(live: LiveSecret, { labels, annotations }: Marks): boolean {
  return (
    hasAll(live.labels, labels) &&
    Object.entries(annotations).every(([name, value]) => sameMark(name, live.annotations[name], value))
  );
}

/** The annotation is for people: one that somebody made up would tell them something untrue. */
function falsePin({ annotations, ours }: LiveSecret, wanted: Marks): readonly string[] {
  const isForeign = annotations[PIN] !== undefined && !(ours?.annotations.includes(PIN) ?? false);
  return isForeign && wanted.annotations[PIN] === undefined ? [PIN] : [];
}

/** The marks of our merges into what is ours alone now: by them, its keys would go with what was said of a merge. */
function mergedBefore(live: LiveSecret, instances: Instances): readonly string[] {
  const ours = instancesOf(instances);
  return mergesIn(live)
    .filter(({ instance }) => ours.includes(instance))
    .map(({ instance, mapping }) => mergeMark(instance, mapping));
}
