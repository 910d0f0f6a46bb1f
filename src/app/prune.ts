import { commandOf } from '../reconcile/commands.ts';
import { destroy } from '../reconcile/destroy.ts';
import { endOfLeft, type Unseen } from '../reconcile/left.ts';
import type { Proposal } from '../reconcile/outcome.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import { putOff, UNSEEN, type Waiting } from '../reconcile/standing.ts';
import type { App } from './app.ts';
import { type Held, toHeld } from './held.ts';
import { leftTargets, meantStill, populationOf } from './left.ts';
import type { PassOptions } from './pass.ts';
import type { PlannedTarget } from './plan.ts';
import { report, type SyncReport } from './sync.ts';

/** On the record of what a prune has held: its mapping, while there was one, may have been held for another reason. */
export const BY_PRUNE = 'by prune';

/** What left the configuration, whatever its mapping had said. */
interface Left {
  readonly proposals: readonly Proposal[];
  readonly waiting: readonly Waiting[];
  readonly unseen: readonly Unseen[];
  /** How many there are in all. */
  readonly count: number;
}

async function leftOf(app: App): Promise<Left> {
  const { left, unseen } = await leftTargets(app, { search: true });
  // Whoever was told to stop has not found that nothing is left, and deletes nothing.
  const stopped = unseen.find(({ error }) => error.code === 'INTERRUPTED');
  if (stopped !== undefined) throw stopped.error;
  const all = left.map((it) => endOfLeft(it, app.fingerprints));
  return { ...(await putOff(all, app.targets, UNSEEN, app)), unseen, count: left.length };
}

/** What `prune` would delete, and what it passes over. */
export interface LeftList extends Pick<Left, 'waiting' | 'unseen'> {
  readonly targets: readonly PlannedTarget[];
}

/** The targets of this instance that no mapping wants, as `prune` would delete them. */
export async function listLeft(app: App, asked: PassOptions = {}): Promise<LeftList> {
  // Selectors first: a target in a namespace that one chooses has not left.
  await app.pass(asked);
  const { proposals, waiting, unseen } = await leftOf(app);
  const targets = proposals.map((proposal): PlannedTarget => {
    const { mapping, live, keys } = proposal;
    return { mapping, target: live.id, action: 'delete', keys, alive: true, proposal };
  });
  return { targets, waiting, unseen };
}

/** The same for whoever asks, on record like every command. */
export async function showLeft(app: App, asked: PassOptions = {}): Promise<LeftList> {
  const { recorder } = await app.pass(asked);
  await recorder.command(commandOf('prune'));
  return listLeft(app, { ...asked, asResolved: true });
}

/** One of them by the id under which `prune` holds it, as long as it stays the same. */
export async function findHeldLeft(app: App, id: string, asked: PassOptions): Promise<Held | undefined> {
  const { targets } = await listLeft(app, asked);
  return targets.map((it) => toHeld(app.config.instance, it)).find((it) => it.id === id);
}

export interface PruneOptions extends PassOptions {
  /** Throws where nothing may be deleted just now. */
  readonly check?: () => void;
}

/** Deletes them, under the brake like every deletion. */
export async function pruneLeft(
  app: App,
  { check = () => undefined, ...asked }: PruneOptions = {},
): Promise<SyncReport> {
  await recoverIntents(app);
  const pass = await app.pass(asked);
  const isInForce = meantStill(app);
  const { recorder } = pass;
  await recorder.command(commandOf('prune'));
  check();
  const { proposals, waiting, unseen, count } = await leftOf(app);
  const others = { targets: app.targets, leaving: 0 };
  const population = await populationOf(app, { sight: UNSEEN, left: count, proposals, others });
  // All that may have taken minutes, in which a mapping that was taken out by mistake was put back.
  check();
  const isMeant = (it: Proposal): boolean => isInForce(it, true);
  const { brake } = app.config;
  const left = proposals.filter(isMeant);
  const targets = await destroy(left, population, { ...app, ...pass, brake, isMeant }, BY_PRUNE);
  return report(app, { targets, unseen, waiting, recorder });
}
