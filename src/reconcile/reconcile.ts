import type { Cluster } from '../cluster/cluster.ts';
import { isAway } from '../core/away.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, assertNever } from '../core/errors.ts';
import { type Instances, instancesOf } from '../core/instances.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { isLoss } from '../sync/drift.ts';
import { LABEL } from '../sync/marks.ts';
import { mergesIn } from '../sync/merge.ts';
import { isOfOthers, type Plan } from '../sync/plan.ts';
import { type DecideDeps, type Decision, decideUnrecorded, type Unrecorded } from './decide.ts';
import type { LetBe } from './last-word.ts';
import type { Outcome, OutcomeKind, Proposal } from './outcome.ts';
import type { Recorder, Stood } from './recorder.ts';
import { shown } from './shown.ts';
import { carryOut, rehearse, stillRefused, type Write } from './write.ts';

export interface ReconcileDeps extends DecideDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** Whether a list of a moment ago says that a target is not there. Left out: nobody made one. */
  readonly isMissing?: ((id: TargetId) => boolean) | undefined;
}

export interface ReconcileOptions {
  /** What becomes of a target that was only changed by hand. A person who syncs wants it repaired. */
  readonly drift?: 'repair' | 'report';
  /** It has come to the configuration, and that it is not there is nobody's edit of what is wanted now. */
  readonly isNew?: boolean;
  /** Asked before a write: what is read for it may take a while, and then nobody may want it any more. Left out: it is. */
  readonly isWanted?: (() => boolean) | undefined;
}

/** Somebody else may win a race this often before we let it be; the next run decides again. */
const MAX_ATTEMPTS = 3;

/**
 * Brings one target into step: gather, plan, record the intent, write, record the outcome. What the target or its
 * sources may do is an outcome; only an audit that cannot be written is thrown, since then nothing may go on.
 */
export async function reconcile(
  mapping: Mapping,
  id: TargetId,
  deps: ReconcileDeps,
  { drift = 'repair', isNew = false, isWanted = () => true }: ReconcileOptions = {},
): Promise<Outcome> {
  const { recorder } = deps;
  const restart = deps.cluster.workloads === undefined ? [] : mapping.restart;
  const end = (kind: OutcomeKind, decision: Decision, error?: AppError): Outcome => {
    const { plan, live, desired, pinned } = decision;
    return {
      kind,
      mapping: mapping.name,
      target: id,
      keys: plan.keys,
      alive: kind === 'created' || isOursThere(decision, mapping, deps),
      ...(error === undefined ? {} : { error }),
      ...(pinned === undefined ? {} : { pinned }),
      ...shown(plan, live, desired, error === undefined),
    };
  };

  for (let attempt = 1; ; attempt += 1) {
    const { decision, found } =
      (attempt === 1 && (await unseen(mapping, id, deps))) || (await look(mapping, id, deps));
    const { plan } = decision;
    if (plan.kind !== 'create' && plan.kind !== 'update' && plan.kind !== 'merge') await decision.recorded();
    const now = { live: decision.live, restart };
    const isToSee = plan.kind !== 'unchanged' && decision.live !== undefined;
    const stood = found.stood ?? (isToSee ? await recorder.seen(mapping.name, id, now) : undefined);
    const reported = drift === 'report' && found.byHand && (await whyReported(id, plan, found, isNew, deps));
    if (reported) {
      const { kind, error } = reported;
      await decision.recorded();
      await recorder.setback(mapping.name, id, { kind, error, keys: plan.keys });
      return { ...end(kind, decision, error), ...(kind === 'refused' ? { drifted: true } : {}) };
    }
    switch (plan.kind) {
      case 'unchanged': {
        const { restarts } = await recorder.settled(mapping.name, id, now);
        return { ...end('unchanged', decision), ...(restarts ? { restarts } : {}) };
      }
      case 'delete':
      case 'recreate':
      case 'hold':
        return {
          ...end('held', decision, new AppError('HELD')),
          proposal: proposalOf(mapping, decision, plan),
        };
      case 'refuse':
      case 'fail': {
        const kind = ({ refuse: 'refused', fail: 'failed' } as const)[plan.kind];
        // It is known to be gone then: what could not be looked at fails for that.
        if (plan.error.code === 'SOURCE_ABSENT' && decision.live === undefined)
          await recorder.gone({ action: 'delete', mapping: mapping.name, target: id });
        await recorder.setback(mapping.name, id, { kind, error: plan.error, keys: plan.keys });
        return end(kind, decision, plan.error);
      }
      case 'create':
      case 'update':
      case 'merge': {
        const refused = await stillRefused(stood?.failed, plan, id, deps.cluster);
        if (!isWanted()) {
          await decision.recorded();
          return { ...end('unchanged', decision), keys: [] };
        }
        if (refused !== undefined) {
          await decision.recorded();
          await recorder.setback(mapping.name, id, { kind: 'failed', error: refused, keys: plan.keys });
          return end('failed', decision, refused);
        }
        const { byHand: repairs, held } = found;
        const job: Write = { mapping, id, attempt, repairs, ...(held === undefined ? {} : { held }) };
        const { error, ...written } = await carryOut(plan, decision, job, deps);
        const restarts = stood?.restarts || written.restarts;
        if (error === undefined)
          return {
            ...end(plan.kind === 'create' ? 'created' : 'updated', decision),
            ...written,
            ...(restarts ? { restarts } : {}),
          };
        if (error.code !== 'CONFLICT') return end('failed', decision, error);
        if (attempt < MAX_ATTEMPTS) break;
        await recorder.giveUp(mapping.name, id, error, attempt);
        return end('failed', decision, error);
      }
      default:
        assertNever(plan);
    }
  }
}

/** Whether a target was found there, and ours, by what was decided on it. */
export function isOursThere(
  { plan, live }: Pick<Decision, 'plan' | 'live'>,
  mapping: Mapping,
  instances: Instances,
): boolean {
  return live !== undefined && !isOfOthers(plan) && !isTheirs(plan, live, mapping, instances);
}

/** Whether it is refused what it would take over, as what is of another type: until then it is not ours. */
function isTheirs(
  { kind }: Plan,
  { labels }: LiveSecret,
  { target }: Mapping,
  instances: Instances,
): boolean {
  const isLabelled =
    labels[LABEL.mapping] !== undefined && instancesOf(instances).includes(labels[LABEL.instance] ?? '');
  return kind === 'refuse' && target.mode === 'own' && !isLabelled;
}

interface Looked {
  readonly decision: Unrecorded;
  readonly found: Compared;
}

/** @param isSure Whether what it says to be gone is so: a list may be late. */
async function look(mapping: Mapping, id: TargetId, deps: ReconcileDeps, isSure = true): Promise<Looked> {
  const decision = await decideUnrecorded(mapping, id, deps);
  return { decision, found: await compareWithLast(decision, mapping, id, deps, isSure) };
}

/**
 * A list that says that a target is not there is enough to create one that was never written: whoever was faster
 * makes the POST fail, and then it is looked at. For anything else it must be looked at first.
 */
async function unseen(mapping: Mapping, id: TargetId, deps: ReconcileDeps): Promise<Looked | undefined> {
  if (mapping.target.mode !== 'own' || deps.isMissing?.(id) !== true) return undefined;
  const cluster = { ...deps.cluster, read: async () => undefined };
  const looked = await look(mapping, id, { ...deps, cluster }, false);
  return looked.decision.plan.kind === 'create' && !looked.found.isGone ? looked : undefined;
}

interface Compared {
  readonly byHand: boolean;
  /** Nothing of ours is there, and something was. */
  readonly isGone?: boolean;
  /** `refused`: whoever deleted what was there has made room for ours, as its remedy says. */
  readonly letBe?: LetBe | undefined;
  /** The fingerprint of what we held of the target, where that is gone by now. */
  readonly held?: string;
  /** Where it was asked. */
  readonly stood?: Stood | undefined;
}

/**
 * Whether what would be written only undoes what somebody did by hand. Of a target that is there, its annotations
 * tell; of one that is gone, or of which all that we merged is, the audit does, which also knows what it held.
 */
async function compareWithLast(
  { plan, desired, live }: Decision,
  { name }: Mapping,
  id: TargetId,
  { recorder, instance, fingerprints }: ReconcileDeps,
  isSure: boolean,
): Promise<Compared> {
  const isGone =
    plan.kind === 'create' || (plan.kind === 'merge' && isWiped(plan, { instance, mapping: name }));
  if (!isGone) return { byHand: 'drift' in plan && plan.drift };
  if (desired.kind !== 'ready') return { byHand: false };
  // A first sync makes thousands of which nothing is on record: one question is enough.
  const stood =
    plan.kind === 'create' ? await recorder.seen(name, id, { live: undefined, restart: [] }) : undefined;
  if (stood?.isUnheard) return { byHand: false, stood };
  let last = await recorder.lastWrite(name, id);
  // Nobody takes away by hand what we have deleted, however late.
  const removal = { action: 'delete', mapping: name, target: id } as const;
  if (last !== undefined && isSure && live === undefined && (await recorder.gone(removal)))
    last = await recorder.lastWrite(name, id);
  if (last === undefined) return { byHand: false, stood };
  const wanted = { data: plan.manifest.data, sources: desired.sources };
  const byHand = isLoss(last, id, wanted, fingerprints);
  return {
    stood,
    isGone: true,
    byHand,
    letBe: byHand ? await recorder.whyLetBe(name, id) : undefined,
    ...(last.after === undefined ? {} : { held: last.after }),
  };
}

/**
 * What is said of a target in place of undoing what somebody did to it by hand. Nothing of one that is to be made all the
 * same: nobody took away what was let be, what went with its namespace, or what has just come to the configuration.
 */
async function whyReported(
  id: TargetId,
  plan: Plan,
  { letBe, isGone }: Compared,
  isNew: boolean,
  deps: Pick<ReconcileDeps, 'cluster'>,
): Promise<{ readonly kind: 'failed' | 'refused'; readonly error: AppError } | undefined> {
  if (plan.kind === 'create' && letBe !== 'refused') {
    const missing = await missingNamespace(id, plan, deps);
    if (missing !== undefined) return { kind: 'failed', error: missing };
  }
  if (letBe !== undefined || (isNew && isGone)) return undefined;
  return { kind: 'refused', error: new AppError('DRIFTED', { about: formatTarget(id) }) };
}

/**
 * Why a target that is gone could not be made: its namespace is, and it went with that, so that nobody has taken it away.
 * Asked for without a write, since the right to look at namespaces is more than it needs otherwise.
 */
async function missingNamespace(
  id: TargetId,
  plan: Extract<Plan, { kind: 'create' }>,
  { cluster }: Pick<ReconcileDeps, 'cluster'>,
): Promise<AppError | undefined> {
  const error = await rehearse(plan, id, cluster);
  return error && (error.code === 'NAMESPACE_MISSING' || isAway(error)) ? error : undefined;
}

/** Whether nothing of a merge is there: it was never made, or the owner replaced the whole Secret. */
function isWiped(
  { keys, live }: Extract<Plan, { kind: 'merge' }>,
  { instance, mapping }: { readonly instance: string; readonly mapping: string },
): boolean {
  const isMarked = mergesIn(live).some((it) => it.instance === instance && it.mapping === mapping);
  return !isMarked && keys.every(({ name }) => !live.data.has(name));
}

type Destroying = Extract<Plan, { kind: 'delete' | 'recreate' | 'hold' }>;

/** What a target's own job may not do itself. */
export function proposalOf(mapping: Mapping, { desired }: Decision, plan: Destroying): Proposal {
  const { live, keys } = plan;
  const proposal = { mapping: mapping.name, live, keys, held: plan.kind === 'hold' };
  if (plan.kind === 'hold' && plan.ending !== undefined) return { ...proposal, ending: plan.ending };
  if (plan.kind !== 'recreate') return proposal;
  return {
    ...proposal,
    replacement: { mapping, desired, plan: { kind: 'create', keys, manifest: plan.manifest } },
  };
}

/** The outcome of what could not even be looked at. */
export async function undecidable(
  mapping: Mapping,
  id: TargetId,
  error: AppError,
  { recorder }: Pick<ReconcileDeps, 'recorder'>,
): Promise<Outcome> {
  await recorder.setback(mapping.name, id, { kind: 'failed', error });
  return { kind: 'failed', mapping: mapping.name, target: id, keys: [], alive: false, error };
}
