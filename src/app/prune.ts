import { commandOf } from '../reconcile/commands.ts';
import { destroy } from '../reconcile/destroy.ts';
import { proposeRemoval, type Unreadable } from '../reconcile/orphans.ts';
import type { Proposal } from '../reconcile/outcome.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { deferReplaced, NO_KNOWN_PRESENCE, type AwaitingReplacement } from '../reconcile/presence.ts';
import type { App } from './app.ts';
import { type Held, toHeld } from './held.ts';
import { findOrphanedTargets, isStillProposed, populationOf } from './orphans.ts';
import type { SyncContextOptions } from './sync-context.ts';
import type { PlannedTarget } from './plan.ts';
import { report, type SyncReport } from './sync.ts';

/** On the record of what a prune has held: its mapping, while there was one, may have been held for another reason. */
export const HELD_BY_PRUNE = 'by prune';

/** What left the configuration, whatever its mapping had said. */
interface Orphans {
  readonly proposals: readonly Proposal[];
  readonly waiting: readonly AwaitingReplacement[];
  readonly unseen: readonly Unreadable[];
  /** How many there are in all. */
  readonly count: number;
}

async function findOrphans(app: App): Promise<Orphans> {
  const { orphans: left, unreadable: unseen } = await findOrphanedTargets(app, { search: true });
  // Whoever was told to stop has not found that nothing is left, and deletes nothing.
  const stopped = unseen.find(({ error }) => error.code === 'INTERRUPTED');
  if (stopped !== undefined) throw stopped.error;
  const all = left.map((it) => proposeRemoval(it, app.fingerprints));
  return { ...(await deferReplaced(all, app.targets, NO_KNOWN_PRESENCE, app)), unseen, count: left.length };
}

/** What `prune` would delete, and what it passes over. */
export interface OrphanList extends Pick<Orphans, 'waiting' | 'unseen'> {
  readonly targets: readonly PlannedTarget[];
}

/** The targets of this instance that no mapping wants, as `prune` would delete them. */
export async function listOrphans(app: App, contextOptions: SyncContextOptions = {}): Promise<OrphanList> {
  // Selectors first: a target in a namespace that one chooses has not left.
  await app.createContext(contextOptions);
  const { proposals, waiting, unseen } = await findOrphans(app);
  const targets = proposals.map((proposal): PlannedTarget => {
    const { mapping, live, keys } = proposal;
    return { mapping, target: live.id, action: 'delete', keys, alive: true, proposal };
  });
  return { targets, waiting, unseen };
}

/** The same for whoever asks, on record like every command. */
export async function listOrphansForCommand(
  app: App,
  contextOptions: SyncContextOptions = {},
): Promise<OrphanList> {
  const { recorder } = await app.createContext(contextOptions);
  await recorder.command(commandOf('prune'));
  return listOrphans(app, { ...contextOptions, reuseResolved: true });
}

/** One of them by the id under which `prune` holds it, as long as it stays the same. */
export async function findHeldOrphan(
  app: App,
  id: string,
  contextOptions: SyncContextOptions,
): Promise<Held | undefined> {
  const { targets } = await listOrphans(app, contextOptions);
  return targets
    .map((plannedTarget) => toHeld(app.config.instance, plannedTarget))
    .find((held) => held.id === id);
}

export interface PruneOptions extends SyncContextOptions {
  /** Throws where nothing may be deleted just now. */
  readonly check?: () => void;
}

/** Deletes them, under the brake like every deletion. */
export async function pruneOrphans(
  app: App,
  { check = () => undefined, ...contextOptions }: PruneOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  const context = await app.createContext(contextOptions);
  const isInForce = isStillProposed(app);
  const { recorder } = context;
  await recorder.command(commandOf('prune'));
  check();
  const { proposals, waiting, unseen, count } = await findOrphans(app);
  const others = { targets: app.targets, leaving: 0 };
  const population = await populationOf(app, { sight: NO_KNOWN_PRESENCE, left: count, proposals, others });
  // All that may have taken minutes, in which a mapping that was taken out by mistake was put back.
  check();
  const isMeant = (proposal: Proposal): boolean => isInForce(proposal, true);
  const { brake } = app.config;
  const left = proposals.filter(isMeant);
  const targets = await destroy(
    left,
    population,
    { ...app, ...context, brake, isStillWanted: isMeant },
    HELD_BY_PRUNE,
  );
  return report(app, { targets, unseen, waiting, recorder });
}
