import type { EntrySource } from '../audit/entry.ts';
import type { Cluster, MergeResult } from '../cluster/cluster.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, assertNever, toAppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { Plan } from '../sync/plan.ts';
import { type DecideDeps, type Decision, decide } from './decide.ts';
import type { Outcome, OutcomeKind, Proposal } from './outcome.ts';
import { type Change, changesOf, type Recorder } from './recorder.ts';
import { afterFailedWrite, sourceText } from './sighting.ts';

export interface ReconcileDeps extends DecideDeps {
  readonly cluster: Cluster;
  readonly recorder: Recorder;
  readonly clock: Clock;
}

type WriteDeps = Pick<ReconcileDeps, 'cluster' | 'recorder' | 'clock' | 'fingerprints'>;

type Data = LiveSecret['data'];
type Writing = Extract<Plan, { kind: 'create' | 'update' | 'merge' }>;

/** Somebody else may win a race this often before we let it be; the next run decides again. */
const MAX_ATTEMPTS = 3;

/**
 * Brings one target into step: gather, plan, record the intent, write, record the outcome. What the target or its
 * sources may do is an outcome; only an audit that cannot be written is thrown, since then nothing may go on.
 */
export async function reconcile(mapping: Mapping, id: TargetId, deps: ReconcileDeps): Promise<Outcome> {
  const { recorder } = deps;
  const end = (kind: OutcomeKind, { plan, live }: Decision, error?: AppError): Outcome => ({
    kind,
    mapping: mapping.name,
    target: id,
    keys: plan.keys,
    alive: live !== undefined || kind === 'created',
    ...(error === undefined ? {} : { error }),
  });

  for (let attempt = 1; ; attempt += 1) {
    const decision = await decide(mapping, id, deps);
    const { plan } = decision;
    switch (plan.kind) {
      case 'unchanged':
        await recorder.settled(mapping.name, id);
        return end('unchanged', decision);
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
        await recorder.setback(mapping.name, id, kind, plan.error, plan.keys);
        return end(kind, decision, plan.error);
      }
      case 'create':
      case 'update':
      case 'merge': {
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

type Destroying = Extract<Plan, { kind: 'delete' | 'recreate' | 'hold' }>;

/** What a target's own job may not do itself. */
export function proposalOf(mapping: Mapping, { desired }: Decision, plan: Destroying): Proposal {
  const { live, keys } = plan;
  const proposal = { mapping: mapping.name, live, keys, held: plan.kind === 'hold' };
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
  await recorder.setback(mapping.name, id, 'failed', error, []);
  return { kind: 'failed', mapping: mapping.name, target: id, keys: [], alive: false, error };
}

/** One write between its two records. Gives why it failed, or nothing. */
export async function carryOut(
  plan: Writing,
  decision: Decision,
  job: { mapping: Mapping; id: TargetId; attempt: number },
  deps: WriteDeps,
): Promise<AppError | undefined> {
  const { recorder, cluster } = deps;
  const change = describeChange(plan, decision, job, deps);
  await recorder.intent(change);
  try {
    const result = await write(plan, job.id, cluster);
    if (result.kind === 'written') {
      await recorder.outcome(change, { resourceVersion: result.resourceVersion });
      return undefined;
    }
    const error = new AppError(result.kind === 'missing' ? 'SECRET_MISSING' : 'CONFLICT');
    await recorder.outcome(change, { error });
    return error;
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === 'AUDIT_UNAVAILABLE') throw error;
    return afterFailedWrite(error, change, deps);
  }
}

function write(plan: Writing, id: TargetId, cluster: Cluster): Promise<MergeResult> {
  switch (plan.kind) {
    case 'create':
      return cluster.create(id, plan.manifest);
    case 'update':
      return cluster.replace(plan.live, plan.change);
    default:
      return cluster.merge(plan.live, plan.manifest);
  }
}

function describeChange(
  plan: Writing,
  { desired, live }: Decision,
  { mapping, id, attempt }: { mapping: Mapping; id: TargetId; attempt: number },
  { fingerprints, clock }: WriteDeps,
): Change {
  const [before, after] = dataOf(plan);
  return {
    action: plan.kind === 'update' && plan.adopts ? 'adopt' : plan.kind === 'create' ? 'create' : 'update',
    mapping: mapping.name,
    target: id,
    attempt,
    sources: desired.kind === 'ready' ? distinct([...desired.sources.values()]) : [],
    keys: changesOf(plan.keys),
    startedAt: clock.now(),
    ...(live === undefined
      ? {}
      : { before: fingerprints.target(id, before), replaces: live.resourceVersion }),
    after: fingerprints.target(id, after),
  };
}

/** What we hold of a target before and after; of a Secret of somebody else that is our keys alone. */
function dataOf(plan: Writing): readonly [Data, Data] {
  if (plan.kind === 'create') return [new Map(), plan.manifest.data];
  if (plan.kind === 'update') return [plan.live.data, plan.change.data];
  const ours = new Set(plan.keys.filter(({ before }) => before !== undefined).map(({ name }) => name));
  return [new Map([...plan.live.data].filter(([name]) => ours.has(name))), plan.manifest.data];
}

function distinct(sources: readonly EntrySource[]): readonly EntrySource[] {
  return [...new Map(sources.map((source) => [sourceText(source), source])).values()];
}
