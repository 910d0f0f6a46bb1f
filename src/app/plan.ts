import { type AppError, assertNever } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import { decide } from '../reconcile/decide.ts';
import type { KeyPlan, Plan } from '../sync/plan.ts';
import type { App } from './app.ts';
import { type Held, held } from './held.ts';
import { mapConcurrently } from './map-concurrently.ts';
import type { Wanted } from './targets.ts';

export type PlanAction = 'create' | 'update' | 'delete' | 'unchanged' | 'refuse' | 'hold' | 'fail';

export interface PlannedTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly action: PlanAction;
  /** An update of a Secret that is not ours yet. */
  readonly adopts: boolean;
  readonly error?: AppError;
  readonly keys: readonly KeyPlan[];
}

export interface PlanReport {
  readonly targets: readonly PlannedTarget[];
  readonly held: readonly Held[];
}

/** What `sync` would do now. Reads the stores and the cluster, and changes neither. */
export async function planTargets(app: App, only?: string, signal?: AbortSignal): Promise<PlanReport> {
  const pass = app.pass(signal);
  await pass.recorder.command('plan');
  const wanted = selectTargets(app, only);
  const targets = await mapConcurrently(wanted, app.config.engine.concurrency, async ({ mapping, id }) => {
    const { plan } = await decide(mapping, id, pass);
    return planned(mapping.name, id, plan);
  });
  const { instance } = app.config;
  const holds = targets.filter(({ action }) => action === 'hold');
  return { targets, held: holds.map(({ mapping, target, keys }) => held(instance, mapping, target, keys)) };
}

/** The targets of all mappings, or of the one that is named. */
export function selectTargets(app: App, only: string | undefined): readonly Wanted[] {
  if (only === undefined) return app.targets;
  return app.targets.filter(({ mapping }) => mapping.name === only);
}

function planned(mapping: string, target: TargetId, plan: Plan): PlannedTarget {
  const base = { mapping, target, keys: plan.keys, adopts: plan.kind === 'update' && plan.adopts };
  switch (plan.kind) {
    case 'create':
    case 'update':
    case 'unchanged':
      return { ...base, action: plan.kind };
    case 'refuse':
    case 'fail':
    case 'hold':
      return { ...base, action: plan.kind, error: plan.error };
    default:
      return assertNever(plan);
  }
}
