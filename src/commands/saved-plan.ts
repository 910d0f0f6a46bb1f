import { z } from 'zod';
import { configHash } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../core/errors.ts';
import { compareTargets, formatTarget, type TargetId } from '../core/target.ts';
import { CHANGING_ACTIONS, PLAN_ACTIONS, UPDATE_KINDS } from '../core/words.ts';
import type { Decision } from '../reconcile/decide.ts';
import { outcomeDetails, type Proposal } from '../reconcile/outcome.ts';
import type { PlanReport } from './plan.ts';
import type { PlannedTarget } from './planned-targets.ts';

// A saved plan contains names, versions and keyed fingerprints, but no values. `sync --plan` believes none of it: it
// makes the plan again and compares both. So a changed file can prevent changes, but it cannot cause any.

const FORMAT = 'secretbridge.dev/plan/v1';

const SavedTarget = z.strictObject({
  mapping: z.string(),
  namespace: z.string(),
  secret: z.string(),
  action: z.enum(PLAN_ACTIONS),
  how: z.enum(UPDATE_KINDS).optional(),
  code: z.string().optional(),
  /** The `resourceVersion` of the Secret. Absent if the Secret does not exist. */
  resourceVersion: z.string().optional(),
  sources: z.array(z.strictObject({ store: z.string(), key: z.string(), version: z.string() })).optional(),
  keys: z.array(
    z.strictObject({
      name: z.string(),
      action: z.enum(['add', 'change', 'remove', 'keep']),
      before: z.string().optional(),
      after: z.string().optional(),
    }),
  ),
});
type SavedTarget = z.output<typeof SavedTarget>;

const SavedPlan = z.strictObject({
  format: z.literal(FORMAT),
  instance: z.string(),
  /** RFC 3339. */
  madeAt: z.string(),
  configHash: z.string(),
  /** The mapping of a plan for a single mapping. */
  mapping: z.string().optional(),
  targets: z.array(SavedTarget),
});
export type SavedPlan = z.output<typeof SavedPlan>;

export interface PlanScope {
  readonly config: Config;
  readonly now: number;
  /** The only mapping of the plan. */
  readonly only: string | undefined;
}

export function toSavedPlan(
  { targets }: Pick<PlanReport, 'targets'>,
  { config, now, only }: PlanScope,
): SavedPlan {
  return {
    format: FORMAT,
    instance: config.instance,
    madeAt: new Date(now).toISOString(),
    configHash: configHash(config),
    ...(only === undefined ? {} : { mapping: only }),
    targets: targets.map(toSavedTarget),
  };
}

/** Returns undefined if the text is not a saved plan. */
export function parseSavedPlan(text: string): SavedPlan | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return SavedPlan.safeParse(parsed).data;
}

function toSavedTarget({ mapping, target, action, how, error, ...basis }: PlannedTarget): SavedTarget {
  return {
    mapping,
    ...target,
    action,
    ...(how === undefined ? {} : { how }),
    ...(error === undefined ? {} : { code: error.code }),
    ...toBasis(basis),
  };
}

type Basis = Pick<SavedTarget, 'resourceVersion' | 'sources' | 'keys'>;

function toBasis({
  resourceVersion,
  sources,
  keys,
}: Pick<PlannedTarget, 'resourceVersion' | 'sources' | 'keys'>): Basis {
  return {
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(sources === undefined
      ? {}
      : { sources: sources.map(({ store, key, version }) => ({ store, key, version })) }),
    keys: keys.map(({ name, action, before, after }) => ({
      name,
      action,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
  };
}

/**
 * A difference from a saved plan. It is in the configuration, the version of a source, the Secret in the cluster, the
 * change that would be made, or the content that would be written.
 */
export interface Moved {
  readonly what: 'configuration' | 'source' | 'secret' | 'change' | 'content';
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  readonly key?: string;
  /** The versions or changes: in the saved plan, and now. */
  readonly planned?: string;
  readonly current?: string;
}

/** Returns what has changed between a saved plan and the same plan made now. Empty if nothing has. */
export function findMoved(saved: SavedPlan, current: SavedPlan): readonly Moved[] {
  if (saved.configHash !== current.configHash || saved.instance !== current.instance)
    return [{ what: 'configuration', planned: saved.configHash, current: current.configHash }];
  const now = new Map(current.targets.map((target) => [idOf(target), target]));
  const before = new Map(saved.targets.map((target) => [idOf(target), target]));
  const pairs = [...new Set([...before.keys(), ...now.keys()])].map((id) => [before.get(id), now.get(id)]);
  return pairs.flatMap(([planned, target]) => movedTarget(planned, target)).toSorted(byTarget);
}

function byTarget(one: Moved, other: Moved): number {
  const { namespace = '', secret = '' } = one;
  return compareTargets(
    { namespace, secret },
    { namespace: other.namespace ?? '', secret: other.secret ?? '' },
  );
}

function idOf({ mapping, namespace, secret }: Pick<SavedTarget, 'mapping' | 'namespace' | 'secret'>): string {
  return JSON.stringify([mapping, namespace, secret]);
}

function movedTarget(planned: SavedTarget | undefined, current: SavedTarget | undefined): readonly Moved[] {
  const target = planned ?? current;
  if (target === undefined) return [];
  const subject = subjectOf(target);
  if (planned === undefined || current === undefined)
    return [
      {
        what: 'change',
        ...subject,
        planned: planned?.action ?? 'nothing',
        current: current?.action ?? 'nothing',
      },
    ];
  const basis = movedBasis(planned, current);
  if (planned.action === current.action || mayHaveApproval(planned)) return basis;
  return [...basis, { what: 'change', ...subject, planned: planned.action, current: current.action }];
}

/** The approval that the change was waiting for may have been given meanwhile. */
function mayHaveApproval({ code }: SavedTarget): boolean {
  return code === 'APPROVAL_NEEDED';
}

function subjectOf({ mapping, namespace, secret }: SavedTarget) {
  return { mapping, namespace, secret };
}

function movedBasis(planned: SavedTarget, current: Basis): readonly Moved[] {
  const subject = subjectOf(planned);
  const moved: Moved[] = [];
  if (planned.resourceVersion !== current.resourceVersion)
    moved.push({
      what: 'secret',
      ...subject,
      planned: planned.resourceVersion ?? 'none',
      current: current.resourceVersion ?? 'none',
    });
  const before = versionsIn(planned);
  const now = versionsIn(current);
  for (const id of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before.get(id), now.get(id)];
    const source = was ?? is;
    if (source === undefined || was?.version === is?.version) continue;
    const { store, key } = source;
    moved.push({
      what: 'source',
      ...subject,
      store,
      key,
      planned: was?.version ?? 'none',
      current: is?.version ?? 'none',
    });
  }
  const isSameContent = JSON.stringify(planned.keys) === JSON.stringify(current.keys);
  return moved.length > 0 || isSameContent ? moved : [{ what: 'content', ...subject }];
}

/** The versions of each source. A source can have several versions, if a mapping names them. */
function versionsIn({ sources = [] }: Basis) {
  const versions = new Map<
    string,
    { readonly store: string; readonly key: string; readonly version: string }
  >();
  for (const { store, key, version } of sources) {
    const id = JSON.stringify([store, key]);
    const others = versions.get(id);
    versions.set(id, {
      store,
      key,
      version: others === undefined ? version : `${others.version}, ${version}`,
    });
  }
  return versions;
}

/** Describes a difference for people. */
export function movedText(moved: Moved): string {
  const { namespace, secret } = moved;
  if (namespace === undefined || secret === undefined) return differenceText(moved);
  return `${formatTarget({ namespace, secret })} (mapping ${moved.mapping}): ${differenceText(moved)}`;
}

function differenceText({ what, store, key, planned, current }: Moved): string {
  switch (what) {
    case 'configuration':
      return 'the configuration has changed';
    case 'source':
      return `store ${store}, key ${key} has version ${shortVersion(current)} instead of ${shortVersion(planned)}`;
    case 'secret':
      return `the Secret has resourceVersion ${current} instead of ${planned}`;
    case 'change':
      return `the change would be \`${current}\` instead of \`${planned}\``;
    case 'content':
      return 'the content would be different';
  }
}

/** A store without versions has fingerprints as versions. Their start is enough for people. */
function shortVersion(version = 'none'): string {
  return version.replace(/\b([0-9a-f]{8}):([0-9a-f]{8})[0-9a-f]{56}\b/g, '$2…');
}

/** Checks during a run that it makes only the changes of a saved plan. */
export interface PlanGuard {
  /** Returns an error if the plan does not contain the decided change. */
  refusal(mapping: string, id: TargetId, decision: Decision): AppError | undefined;
  /** Whether the plan contains the removal of the present version of this Secret. */
  allows(proposal: Proposal): boolean;
}

export function guardOf({ targets }: SavedPlan): PlanGuard {
  const planned = new Map(targets.map((target) => [idOf(target), target]));
  const plannedChange = (mapping: string, id: TargetId): SavedTarget | undefined => {
    const target = planned.get(idOf({ mapping, ...id }));
    return target && (CHANGING_ACTIONS.includes(target.action) || mayHaveApproval(target))
      ? target
      : undefined;
  };
  return {
    refusal(mapping, id, { plan, live, desired }) {
      // A hold changes nothing.
      if (plan.kind === 'hold') return undefined;
      const subject = formatTarget(id);
      const target = plannedChange(mapping, id);
      if (target === undefined) return outdated(subject, 'the saved plan contains no change of this Secret');
      const basis = toBasis({ ...outcomeDetails(plan, live, desired, false), keys: plan.keys });
      // The other mappings of the plan may merge into the same Secret before this one.
      const isMerge = plan.kind === 'merge';
      const [moved] = movedBasis(
        target,
        isMerge ? { ...basis, resourceVersion: target.resourceVersion } : basis,
      );
      return moved && outdated(subject, differenceText(moved));
    },
    allows: ({ mapping, live, held }) =>
      held || plannedChange(mapping, live.id)?.resourceVersion === live.resourceVersion,
  };
}

function outdated(subject: string, detail: string): AppError {
  return new AppError('PLAN_OUTDATED', { subject, detail });
}
