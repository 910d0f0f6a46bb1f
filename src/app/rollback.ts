import type { AuditRecord } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import { type Command, commandOf } from '../reconcile/commands.ts';
import { decide } from '../reconcile/decide.ts';
import { destroy } from '../reconcile/destroy.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import { recordedPin, shortened } from '../reconcile/pins.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import type { Wanted } from '../reconcile/targets.ts';
import { nameOf } from '../service/generation.ts';
import { logOutcome } from '../service/runs/log-outcome.ts';
import type { Pass } from '../service/runs/pass.ts';
import type { Pin } from '../sync/pin.ts';
import type { App } from './app.ts';
import { leftTargets, populationOf, sightOf } from './left.ts';
import { selectTargets } from './plan.ts';
import { finishRestarts } from './restarts.ts';
import { report, type SyncReport } from './sync.ts';

/** Which targets of a mapping a person means. */
export interface Which {
  readonly mapping: string;
  readonly namespace?: string | undefined;
}

export interface Rollback extends Which {
  /** The sequence of a record that names the versions. */
  readonly to: number;
}

/** What a record may tell of: a state in which a target of the mapping was. */
const STATES: readonly AuditRecord['action'][] = ['create', 'update', 'repair', 'adopt', 'rollback'];

/** @throws what kept the namespaces of its selector from being looked up. */
function knownTargets(app: App, mapping: string): readonly Wanted[] {
  const all = selectTargets(app, mapping);
  for (const { error } of all) if (error !== undefined) throw error;
  return all;
}

/** The one target that is meant, or what to ask for instead. */
export function oneTarget(app: App, { mapping, namespace }: Which): Wanted | string {
  const { all, chosen } = meantTargets(app, { mapping, namespace });
  const [first] = chosen;
  if (first === undefined) return nothingThere(mapping, all);
  return chosen.length === 1
    ? first
    : `mapping ${mapping} has several targets, so name the namespace: ${placesOf(all)}`;
}

function meantTargets(app: App, { mapping, namespace }: Which) {
  const all = knownTargets(app, mapping);
  return { all, chosen: all.filter(({ id }) => namespace === undefined || id.namespace === namespace) };
}

function nothingThere(mapping: string, all: readonly Wanted[]): string {
  return all.length === 0
    ? `mapping ${mapping} has no target now`
    : `mapping ${mapping} has no target in that namespace: ${placesOf(all)}`;
}

function placesOf(all: readonly Wanted[]): string {
  const names = all.map(({ id }) => id.namespace);
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
}

/** The targets that are meant, of which some may be pinned, or what to ask for instead. */
export function someTargets(app: App, { mapping, namespace }: Which): readonly Wanted[] | string {
  const { all, chosen } = meantTargets(app, { mapping, namespace });
  return chosen.length === 0 && namespace !== undefined ? nothingThere(mapping, all) : chosen;
}

/**
 * Pins a target to the versions that a record names, once all of them were read and give a Secret that may be
 * written. Otherwise nothing is pinned, and the refusal is on record.
 * @throws AppError RECORD_MISSING, NOT_A_CHANGE, and whatever stands against it, VERSION_GONE first.
 */
export async function pinTarget(app: App, pass: Pass, { mapping, id }: Wanted, to: number): Promise<void> {
  const record = await app.audit.get(to);
  if (record === undefined) throw new AppError('RECORD_MISSING', { about: `record ${to}` });
  const isOfMapping = record.mapping === mapping.name && app.instances.includes(record.instance);
  if (!isOfMapping || !STATES.includes(record.action) || record.sources.length === 0)
    throw new AppError('NOT_A_CHANGE', { about: `record ${to}` });
  const pin = recordedPin(app.audit, pinOf(record, pass), app.instances);
  const { plan } = await decide(mapping, id, { ...pass, pin: async () => pin });
  // Also what would leave no key: whoever goes back wants a Secret that works.
  if (plan.kind === 'fail' || plan.kind === 'refuse' || plan.kind === 'hold') {
    await pass.recorder.pin(mapping.name, id, pin, plan.error);
    throw plan.error;
  }
  await pass.recorder.pin(mapping.name, id, pin);
}

function pinOf({ sequence, sources }: AuditRecord, { stores }: Pick<Pass, 'stores'>): Pin {
  const names = [...new Set(sources.map(({ store }) => store))];
  const known = names.flatMap((name) => {
    const definition = stores.get(name);
    return definition === undefined ? [] : [[name, shortened(definition)] as const];
  });
  return { to: sequence, sources, stores: new Map(known) };
}

/** Lets the pinned ones of these targets go, and gives them. @throws AppError NOT_PINNED */
export async function unpinTargets(
  pass: Pass,
  wanted: readonly Wanted[],
  { mapping: name, namespace }: Which,
): Promise<readonly Wanted[]> {
  const pins = await Promise.all(wanted.map(({ mapping, id }) => pass.pin(mapping.name, id)));
  const pinned = wanted.filter((_, index) => pins[index] !== undefined);
  if (pinned.length === 0)
    throw new AppError('NOT_PINNED', {
      about: `mapping ${name}`,
      // Others may be.
      ...(namespace === undefined ? {} : { detail: `in namespace ${namespace}` }),
    });
  for (const { mapping, id } of pinned) await pass.recorder.pin(mapping.name, id, 'unpin');
  return pinned;
}

/** Goes back to the versions of a record and stays there, here and now; or says what to ask for instead. */
export async function rollBackHere(
  app: App,
  { to, ...which }: Rollback,
  signal?: AbortSignal,
): Promise<SyncReport | string> {
  await app.resolve();
  const target = oneTarget(app, which);
  if (typeof target === 'string') return target;
  const pass = await begin(app, commandOf('rollback', which.mapping, '--to', to));
  await pinTarget(app, pass, target, to);
  return run(app, pass, [target], signal);
}

/** Follows the sources again, here and now; or says what to ask for instead. */
export async function unpinHere(app: App, which: Which, signal?: AbortSignal): Promise<SyncReport | string> {
  await app.resolve();
  const targets = someTargets(app, which);
  if (typeof targets === 'string') return targets;
  const pass = await begin(app, commandOf('unpin', which.mapping));
  return run(app, pass, await unpinTargets(pass, targets, which), signal);
}

async function begin(app: App, command: Command): Promise<Pass> {
  await recoverIntents(app);
  const pass = await app.pass({ asResolved: true });
  await pass.recorder.command(command);
  return pass;
}

async function run(
  app: App,
  pass: Pass,
  wanted: readonly Wanted[],
  signal: AbortSignal | undefined,
): Promise<SyncReport> {
  const outcomes: Outcome[] = [];
  for (const { mapping, id } of wanted) outcomes.push(await reconcile(mapping, id, pass));
  const targets = await decideProposals(app, pass, outcomes);
  const unrestarted = await finishRestarts(app, signal);
  for (const outcome of targets) logOutcome(app.logger, outcome, pass.recorder.requestId);
  return report(app, { targets, unrestarted, recorder: pass.recorder });
}

/** An immutable target is created anew, if the brake allows it. Nothing else is looked for that may end. */
async function decideProposals(
  app: App,
  pass: Pass,
  outcomes: readonly Outcome[],
): Promise<readonly Outcome[]> {
  const proposals = outcomes.flatMap(({ proposal }) => proposal ?? []);
  if (proposals.length === 0) return outcomes;
  const { left } = await leftTargets(app);
  const sight = sightOf(outcomes);
  const others = {
    targets: app.targets.filter((it) => sight.isThere(it) === undefined),
    leaving: left.filter(({ onMappingRemoved }) => onMappingRemoved === 'delete').length,
  };
  const population = await populationOf(app, { sight, left: left.length, proposals, others });
  const decided = await destroy(proposals, population, { ...app, ...pass, brake: app.config.brake });
  const pinned = new Map(outcomes.map((it) => [nameOf(it.mapping, it.target), it.pinned]));
  return [
    ...outcomes.filter(({ proposal }) => proposal === undefined),
    ...decided.map((it) => withPinned(it, pinned.get(nameOf(it.mapping, it.target)))),
  ];
}

function withPinned(outcome: Outcome, pinned: number | undefined): Outcome {
  return pinned === undefined ? outcome : { ...outcome, pinned };
}
