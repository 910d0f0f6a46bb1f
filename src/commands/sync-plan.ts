import type { App } from '../app/app.ts';
import { commandOf } from '../audit/entry.ts';
import { configHash } from '../config/changes.ts';
import { AppError } from '../core/errors.ts';
import { openSyncContext } from './override.ts';
import { planInContext } from './plan.ts';
import { findMoved, guardOf, type Moved, movedText, type SavedPlan, toSavedPlan } from './saved-plan.ts';
import { type SyncOptions, type SyncReport, syncTargets } from './sync.ts';

export type PlanResult =
  | { readonly kind: 'synced'; readonly report: SyncReport }
  /** Nothing was changed. */
  | { readonly kind: 'outdated'; readonly error: AppError; readonly moved: readonly Moved[] };

/** The error of an outdated plan names at most this many differences. */
const MAX_NAMED = 5;

/**
 * Carries out a saved plan. First makes the plan again. If anything differs from the saved plan, changes nothing. Then
 * makes only the changes of the plan, even if more has changed meanwhile.
 */
export async function syncPlan(app: App, saved: SavedPlan, options: SyncOptions): Promise<PlanResult> {
  const { signal } = options;
  const { mapping: only } = saved;
  // The same context for both steps, so that the values of the check are also the values that are written.
  const context = await openSyncContext(app, options);
  const isSameConfig = saved.configHash === configHash(app.config) && saved.instance === app.config.instance;
  const scope = { config: app.config, now: app.clock.now(), only };
  const current = toSavedPlan(
    isSameConfig ? await planInContext(app, context, only, { signal }) : { targets: [] },
    scope,
  );
  const moved = findMoved(saved, current);
  if (moved.length > 0) {
    const error = outdated(moved);
    await context.recorder.command(commandOf('sync', only, '--plan'), error);
    return { kind: 'outdated', error, moved };
  }
  const report = await syncTargets(app, {
    ...options,
    ...(only === undefined ? {} : { only }),
    context,
    plan: guardOf(saved),
  });
  return { kind: 'synced', report };
}

function outdated(moved: readonly Moved[]): AppError {
  const more = moved.length - MAX_NAMED;
  const named = moved.slice(0, MAX_NAMED).map(movedText);
  const detail = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
  return new AppError('PLAN_OUTDATED', { detail });
}
