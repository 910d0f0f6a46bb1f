import type { App } from '../app/app.ts';
import type { SyncContextOptions } from '../app/sync-context.ts';
import { type AuditRecord, commandOf } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { decide } from '../reconcile/decide.ts';
import { destroy } from '../reconcile/destroy.ts';
import { closedWindow } from '../reconcile/guard.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import { recordedPin, shortHash } from '../reconcile/pins.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { recordingCommand } from '../reconcile/recorder.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { targetKey } from '../service/config-snapshot.ts';
import { logOutcome } from '../service/runs/log-outcome.ts';
import type { Pin } from '../sync/pin.ts';
import { findOrphanedTargets, populationOf, presenceOf } from './orphans.ts';
import { selectTargets } from './plan.ts';
import { runPendingRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';

/** Selects the targets of a mapping in one namespace, or in all namespaces if none is given. */
export interface TargetSelector {
  readonly mapping: string;
  readonly namespace?: string | undefined;
  /** Excludes the targets in all other namespaces. Default: none. */
  readonly mayUse?: ((namespace: string) => boolean) | undefined;
}

export interface Rollback extends TargetSelector {
  /** The sequence number of the record whose source versions are restored. */
  readonly to: number;
}

/** The actions whose records describe the content of a target. */
const CHANGE_ACTIONS: readonly AuditRecord['action'][] = ['create', 'update', 'repair', 'adopt', 'rollback'];

/** @throws AppError if the namespace selector could not be resolved */
function resolvedTargets(app: App, mapping: string): readonly DesiredTarget[] {
  const all = selectTargets(app, mapping);
  for (const { error } of all) if (error !== undefined) throw error;
  return all;
}

/**
 * Returns the selected target. If the selection does not match exactly one target, returns a message that lists the
 * namespaces of the mapping.
 */
export function selectOneTarget(app: App, selector: TargetSelector): DesiredTarget | string {
  const { mapping } = selector;
  const { all, chosen } = matchTargets(app, selector);
  const [first] = chosen;
  if (first === undefined) return noTargetText(mapping, all);
  return chosen.length === 1
    ? first
    : `mapping ${mapping} has several targets; choose one with the namespace: ${namespacesText(all)}`;
}

function matchTargets(app: App, { mapping, namespace, mayUse = () => true }: TargetSelector) {
  const all = resolvedTargets(app, mapping).filter(({ id }) => mayUse(id.namespace));
  return { all, chosen: all.filter(({ id }) => namespace === undefined || id.namespace === namespace) };
}

function noTargetText(mapping: string, all: readonly DesiredTarget[]): string {
  return all.length === 0
    ? `mapping ${mapping} has no target now`
    : `mapping ${mapping} has no target in that namespace: ${namespacesText(all)}`;
}

function namespacesText(all: readonly DesiredTarget[]): string {
  const names = all.map(({ id }) => id.namespace);
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
}

/**
 * Returns the selected targets. If no target is in the given namespace, returns a message that lists the namespaces of
 * the mapping.
 */
export function selectTargetsToUnpin(app: App, selector: TargetSelector): readonly DesiredTarget[] | string {
  const { mapping, namespace } = selector;
  const { all, chosen } = matchTargets(app, selector);
  return chosen.length === 0 && namespace !== undefined ? noTargetText(mapping, all) : chosen;
}

/**
 * Pins a target to the source versions of a record. First reads all versions, and checks that they result in a valid
 * Secret. If they do not, pins nothing and records the refusal.
 * @throws AppError RECORD_MISSING, NOT_A_CHANGE, or the error of the plan
 */
export async function pinTarget(
  app: App,
  context: SyncContext,
  { mapping, id }: DesiredTarget,
  to: number,
  accept: () => Promise<void>,
): Promise<void> {
  const record = await app.audit.get(to);
  if (record === undefined) throw new AppError('RECORD_MISSING', { subject: `record ${to}` });
  const isOfMapping = record.mapping === mapping.name && app.instances.includes(record.instance);
  if (!isOfMapping || !CHANGE_ACTIONS.includes(record.action) || record.sources.length === 0)
    throw new AppError('NOT_A_CHANGE', { subject: `record ${to}` });
  if ((record.counts?.sourcesLeftOut ?? 0) > 0)
    throw new AppError('NOT_A_CHANGE', {
      subject: `record ${to}`,
      detail: 'it has too many sources to name all of them',
    });
  const pin = recordedPin(app.audit, pinOf(record, context), app.instances);
  const isOwnRecord = record.namespace === id.namespace && record.secret === id.secret;
  const closed = isOwnRecord
    ? undefined
    : // A record of another target may name versions that this target never had, so the change is not a rollback.
      closedWindow({ mapping: mapping.name, namespace: id.namespace, isExempt: false }, context);
  if (closed !== undefined) {
    await context.recorder.pin(mapping.name, id, pin, { error: closed });
    throw closed;
  }
  const { plan } = await decide(mapping, id, {
    ...context,
    records: { ...context.records, readPin: async () => pin },
  });
  // Refuse a plan of kind `hold` too. It means that no key would be left in the Secret, but a rollback must result in a
  // usable Secret.
  if (plan.kind === 'fail' || plan.kind === 'refuse' || plan.kind === 'hold') {
    await context.recorder.pin(mapping.name, id, pin, { error: plan.error });
    throw plan.error;
  }
  const approval = await context.approvals.require({
    action: 'rollback',
    mapping: mapping.name,
    target: id,
    argument: String(to),
    keys: plan.keys,
  });
  await accept();
  await context.recorder.pin(mapping.name, id, pin, { approval, isUnchanged: plan.kind === 'unchanged' });
}

function pinOf({ sequence, sources }: AuditRecord, { stores }: Pick<SyncContext, 'stores'>): Pin {
  const names = [...new Set(sources.map(({ store }) => store))];
  const definitions = names.flatMap((name) => {
    const definition = stores.get(name);
    return definition === undefined ? [] : [[name, shortHash(definition)] as const];
  });
  return { to: sequence, sources, stores: new Map(definitions) };
}

/** Removes the pins of these targets. Returns the targets that were pinned. @throws AppError NOT_PINNED */
export async function unpinTargets(
  context: SyncContext,
  wanted: readonly DesiredTarget[],
  { mapping: name, namespace }: TargetSelector,
  accept: () => Promise<void>,
): Promise<readonly DesiredTarget[]> {
  const pins = await Promise.all(wanted.map(({ mapping, id }) => context.records.readPin(mapping.name, id)));
  const pinned = wanted.flatMap((desired, index) => {
    const pin = pins[index];
    return pin === undefined ? [] : [{ desired, to: pin.to }];
  });
  if (pinned.length === 0)
    throw new AppError('NOT_PINNED', {
      subject: `mapping ${name}`,
      // Name the namespace in the error, because targets in other namespaces may be pinned.
      ...(namespace === undefined ? {} : { detail: `in namespace ${namespace}` }),
    });
  const approvals = await context.approvals.requireAll(
    pinned.map(({ desired: { mapping, id }, to }) => {
      return { action: 'unpin', mapping: mapping.name, target: id, argument: String(to), keys: [] };
    }),
  );
  await accept();
  const targets = pinned.map(({ desired }) => desired);
  for (const [index, { mapping, id }] of targets.entries())
    await context.recorder.pin(mapping.name, id, 'unpin', { approval: approvals[index] });
  return targets;
}

/** Rolls back in this process. Returns a message if the target is ambiguous. */
export async function rollBackLocally(
  app: App,
  { to, ...selector }: Rollback,
  { by, ...options }: LocalRun = {},
): Promise<SyncReport | string> {
  await app.resolve();
  const target = selectOneTarget(app, selector);
  if (typeof target === 'string') return target;
  const context = await openContext(app, by);
  const command = commandOf('rollback', selector.mapping, '--to', to);
  await recordingCommand(context.recorder, command, (accept) => pinTarget(app, context, target, to, accept));
  return runTargets(app, context, [target], options);
}

/** Unpins in this process. Returns a message if there is no such target. */
export async function unpinLocally(
  app: App,
  selector: TargetSelector,
  { by, ...options }: LocalRun = {},
): Promise<SyncReport | string> {
  await app.resolve();
  const targets = selectTargetsToUnpin(app, selector);
  if (typeof targets === 'string') return targets;
  const context = await openContext(app, by);
  const unpinned = await recordingCommand(context.recorder, commandOf('unpin', selector.mapping), (accept) =>
    unpinTargets(context, targets, selector, accept),
  );
  return runTargets(app, context, unpinned, options);
}

/** How a command of this process runs. */
export interface LocalRun {
  readonly signal?: AbortSignal | undefined;
  /** Whether to skip the restarts, because the service restarts workloads itself. */
  readonly skipRestarts?: boolean;
  /** Who asked for the command, and the request id of its records. Default: this process. */
  readonly by?: Pick<SyncContextOptions, 'actor' | 'requestId'> | undefined;
}

async function openContext(app: App, by: LocalRun['by']): Promise<SyncContext> {
  await recoverIntents(app);
  return app.createContext({ ...by, reuseResolved: true });
}

/** Syncs these targets in this process. */
export async function runTargets(
  app: App,
  context: SyncContext,
  wanted: readonly DesiredTarget[],
  { signal, skipRestarts = false }: Omit<LocalRun, 'by'>,
): Promise<SyncReport> {
  const outcomes: Outcome[] = [];
  for (const { mapping, id } of wanted) outcomes.push(await reconcile(mapping, id, context));
  const targets = await decideProposals(app, context, outcomes);
  const unrestarted = skipRestarts ? [] : await runPendingRestarts(app, signal);
  for (const outcome of targets) logOutcome(app.logger, outcome, context.recorder.requestId);
  return report(app, { targets, unrestarted, recorder: context.recorder });
}

/**
 * Decides whether an immutable target may be deleted to be created again with other content. The brake applies. This
 * decision includes no other deletions.
 */
async function decideProposals(
  app: App,
  context: SyncContext,
  outcomes: readonly Outcome[],
): Promise<readonly Outcome[]> {
  const proposals = outcomes.flatMap(({ proposal }) => proposal ?? []);
  if (proposals.length === 0) return outcomes;
  const { orphans } = await findOrphanedTargets(app);
  const presence = presenceOf(outcomes);
  const others = {
    targets: app.targets.filter((wanted) => presence.isPresent(wanted) === undefined),
    leaving: orphans.filter(({ onMappingRemoved }) => onMappingRemoved === 'delete').length,
  };
  const population = await populationOf(app, {
    presence,
    orphanCount: orphans.length,
    proposals,
    others,
  });
  const decided = await destroy(proposals, population, { ...app, ...context, brake: app.config.brake });
  const pinned = new Map(
    outcomes.map((outcome) => [targetKey(outcome.mapping, outcome.target), outcome.pinned]),
  );
  return [
    ...outcomes.filter(({ proposal }) => proposal === undefined),
    ...decided.map((outcome) => withPinned(outcome, pinned.get(targetKey(outcome.mapping, outcome.target)))),
  ];
}

function withPinned(outcome: Outcome, pinned: number | undefined): Outcome {
  return pinned === undefined ? outcome : { ...outcome, pinned };
}
