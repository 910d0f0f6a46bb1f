import type { EntrySource } from '../audit/entry.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, assertNever, toAppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { ANNOTATION, parseSources } from '../sync/marks.ts';
import type { Plan } from '../sync/plan.ts';
import { type DecideDeps, type Decision, decide } from './decide.ts';
import type { Outcome, OutcomeKind } from './outcome.ts';
import { type Change, changesOf, type Recorder } from './recorder.ts';

export interface ReconcileDeps extends DecideDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
}

type Writing = Extract<Plan, { kind: 'create' | 'update' }>;

/** Somebody else may win a race this often before we let it be; the next run decides again. */
const MAX_ATTEMPTS = 3;

/**
 * Brings one target into step: gather, plan, record the intent, write, record the outcome. What the target or its
 * sources may do is an outcome; only an audit that cannot be written is thrown, since then nothing may go on.
 */
export async function reconcile(mapping: Mapping, id: TargetId, deps: ReconcileDeps): Promise<Outcome> {
  const { recorder } = deps;
  const end = (kind: OutcomeKind, { plan }: Decision, error?: AppError): Outcome => ({
    kind,
    mapping: mapping.name,
    target: id,
    keys: plan.keys,
    ...(error === undefined ? {} : { error }),
  });

  for (let attempt = 1; ; attempt += 1) {
    const decision = await decide(mapping, id, deps);
    const { plan } = decision;
    switch (plan.kind) {
      case 'unchanged':
        await recorder.settled(mapping.name, id);
        return end('unchanged', decision);
      case 'refuse':
      case 'hold':
      case 'fail': {
        const kind = ({ refuse: 'refused', hold: 'held', fail: 'failed' } as const)[plan.kind];
        await recorder.setback(mapping.name, id, kind, plan.error, plan.keys);
        return end(kind, decision, plan.error);
      }
      case 'create':
      case 'update': {
        const failed = await carryOut(plan, decision, { mapping, id, attempt }, deps);
        if (failed === undefined) return end(plan.kind === 'create' ? 'created' : 'updated', decision);
        if (failed.code !== 'CONFLICT' || attempt === MAX_ATTEMPTS) return end('failed', decision, failed);
        break;
      }
      default:
        assertNever(plan);
    }
  }
}

/** One write between its two records. Gives why it failed, or nothing. */
async function carryOut(
  plan: Writing,
  decision: Decision,
  job: { mapping: Mapping; id: TargetId; attempt: number },
  deps: ReconcileDeps,
): Promise<AppError | undefined> {
  const { recorder, cluster } = deps;
  const change = describeChange(plan, decision, job, deps);
  await recorder.intent(change);
  try {
    const result =
      plan.kind === 'create'
        ? await cluster.create(job.id, plan.manifest)
        : await cluster.replace(plan.live, plan.change);
    if (result.kind === 'written') {
      await recorder.outcome(change, { resourceVersion: result.resourceVersion });
      return undefined;
    }
    const conflict = new AppError('CONFLICT');
    await recorder.outcome(change, { error: conflict });
    return conflict;
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'AUDIT_UNAVAILABLE') throw error;
    return afterFailedWrite(error, change, deps);
  }
}

/** A write without an answer may still have happened: only a look at the cluster tells. */
async function afterFailedWrite(
  error: AppError,
  change: Change,
  deps: ReconcileDeps,
): Promise<AppError | undefined> {
  if (error.code !== 'CLUSTER_UNAVAILABLE') {
    await deps.recorder.outcome(change, { error });
    return error;
  }
  const found = await lookFor(change, deps.cluster);
  // Unknown still: the intent stays open, and the next start looks again.
  if (found.kind === 'unknown') return error;
  if (found.kind === 'absent') {
    await deps.recorder.outcome(change, { error });
    return error;
  }
  await deps.recorder.outcome(change, {
    resourceVersion: found.resourceVersion,
    note: 'seen in the cluster',
  });
  return undefined;
}

export type Sighting =
  | { readonly kind: 'applied'; readonly resourceVersion: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown' };

/** Whether the cluster holds what a change would have written, by the fingerprint and the sources of the target. */
export async function lookFor(
  { target, replaces, after, sources }: Pick<Change, 'target' | 'replaces' | 'after' | 'sources'>,
  cluster: Pick<Cluster, 'read'>,
): Promise<Sighting> {
  let live: LiveSecret | undefined;
  try {
    live = await cluster.read(target);
  } catch (thrown) {
    if (thrown instanceof AppError) return { kind: 'unknown' };
    throw thrown;
  }
  if (live === undefined || live.resourceVersion === replaces) return { kind: 'absent' };
  const written = parseSources(live.annotations[ANNOTATION.sources]);
  const texts = written && new Set([...written.values()].map(sourceText));
  const same =
    live.annotations[ANNOTATION.fingerprint] === after &&
    sources.every((it) => texts?.has(sourceText(it)) ?? true);
  return same ? { kind: 'applied', resourceVersion: live.resourceVersion } : { kind: 'absent' };
}

function sourceText({ store, key, property, version }: EntrySource): string {
  return JSON.stringify([store, key, property, version]);
}

function describeChange(
  plan: Writing,
  { desired, live }: Decision,
  { mapping, id, attempt }: { mapping: Mapping; id: TargetId; attempt: number },
  { fingerprints, clock }: ReconcileDeps,
): Change {
  const annotations = plan.kind === 'create' ? plan.manifest.annotations : plan.change.annotations;
  const after = annotations[ANNOTATION.fingerprint];
  return {
    action: plan.kind === 'create' ? 'create' : plan.adopts ? 'adopt' : 'update',
    mapping: mapping.name,
    target: id,
    attempt,
    sources: desired.kind === 'ready' ? distinct([...desired.sources.values()]) : [],
    keys: changesOf(plan.keys),
    startedAt: clock.now(),
    ...(live === undefined
      ? {}
      : { before: fingerprints.target(id, live.data), replaces: live.resourceVersion }),
    ...(after === undefined ? {} : { after }),
  };
}

function distinct(sources: readonly EntrySource[]): readonly EntrySource[] {
  return [...new Map(sources.map((source) => [sourceText(source), source])).values()];
}
