import type { AuditRecord } from '../audit/entry.ts';
import type { AppError } from '../core/errors.ts';
import type { Source } from '../core/mapping.ts';
import { type ReadResult, refId } from '../core/reading.ts';
import type { TargetId } from '../core/target.ts';
import { isContested } from '../reconcile/reconcile.ts';
import { decideWanted } from '../reconcile/targets.ts';
import { sourcesOf, storeRef } from '../sync/desired.ts';
import type { Plan } from '../sync/plan.ts';
import type { App } from './app.ts';
import { expectedCalls, oneByOne, type StoreCalls } from './calls.ts';
import { selectTargets } from './plan.ts';

export type TargetState =
  | 'synced'
  | 'pinned'
  | 'stale'
  | 'failed'
  | 'refused'
  | 'held'
  | 'waiting'
  | 'contested';

export interface ExplainedSource {
  readonly source: Source;
  readonly state: 'found' | 'absent' | 'failed';
  readonly version?: string;
  readonly error?: AppError;
}

export interface ExplainedTarget {
  readonly target: TargetId;
  readonly state: TargetState;
  readonly error?: AppError;
  /** The record to whose versions it is pinned. */
  readonly pinned?: number;
  /** As a run would read them now. */
  readonly sources: readonly ExplainedSource[];
  /** Newest first. */
  readonly lastRecords: readonly AuditRecord[];
}

/** What looking for changes of a store takes, and the part of a mapping in that. */
export interface ExplainedCalls extends StoreCalls {
  /** Requests an hour that there would be less without the mapping. */
  readonly added: number;
  /** Requests an hour of a tool that reads each key of each of its targets at each refresh. */
  readonly oneByOne: number;
}

/** By arithmetic, for each store that the mapping uses; asks nobody. */
export function callsOf({ config, targets }: App, mapping: string): readonly ExplainedCalls[] {
  const its = targets.filter((it) => it.mapping.name === mapping);
  const others = targets.filter((it) => it.mapping.name !== mapping);
  const without = new Map(expectedCalls(config, others).map(({ store, perHour }) => [store, perHour]));
  const used = new Set(expectedCalls(config, its).map(({ store }) => store));
  return expectedCalls(config, targets)
    .filter(({ store }) => used.has(store))
    .map((it) => ({
      ...it,
      added: it.perHour - (without.get(it.store) ?? 0),
      oneByOne: oneByOne(its, it.store),
    }));
}

const LAST = 5;

/** Looks at a mapping now: its sources, its targets, and what was last recorded of them. */
export async function explainMapping(app: App, mapping: string): Promise<readonly ExplainedTarget[]> {
  const pass = await app.pass();
  await pass.recorder.command('explain');
  const explained: ExplainedTarget[] = [];
  for (const target of selectTargets(app, mapping)) {
    const { id } = target;
    const { plan, live, pinned, mapping: wanted = target.mapping } = await decideWanted(target, pass);
    const error = 'error' in plan ? plan.error : undefined;
    const sources = sourcesOf(wanted).filter(({ store, key }) =>
      pass.allows({ ...id, mapping: wanted.name, store, key }),
    );
    const readings = await pass.read(sources.map(storeRef));
    explained.push({
      target: id,
      state: (await isContested(app.audit, id, app.clock))
        ? 'contested'
        : stateOf(plan, live !== undefined, pinned !== undefined),
      ...(error === undefined ? {} : { error }),
      ...(pinned === undefined ? {} : { pinned }),
      sources: sources.map((source) => explainSource(source, readings.get(refId(storeRef(source))))),
      lastRecords: await app.audit.list({ mapping, ...id }, { limit: LAST }),
    });
  }
  return explained;
}

function explainSource(source: Source, reading: ReadResult | undefined): ExplainedSource {
  if (reading?.kind === 'found') return { source, state: 'found', version: reading.version };
  if (reading?.kind === 'failed') return { source, state: 'failed', error: reading.error };
  return { source, state: 'absent' };
}

function stateOf(plan: Plan, alive: boolean, pinned: boolean): TargetState {
  switch (plan.kind) {
    case 'unchanged':
      return pinned ? 'pinned' : 'synced';
    case 'refuse':
      return 'refused';
    case 'hold':
    case 'delete':
    case 'recreate':
      return 'held';
    case 'fail':
      if (plan.error.code === 'SECRET_MISSING') return 'waiting';
      // What is kept although its source is gone goes on working, with what it had.
      return plan.error.code === 'SOURCE_ABSENT' && alive ? 'stale' : 'failed';
    default:
      return alive ? 'stale' : 'waiting';
  }
}
