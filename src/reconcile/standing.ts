import type { Cluster } from '../cluster/cluster.ts';
import { AppError } from '../core/errors.ts';
import type { TargetSpec } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { LABEL } from '../sync/marks.ts';
import { mergeManager, mergesIn } from '../sync/merge.ts';
import { successors } from '../sync/successor.ts';
import { isOurs } from './left.ts';
import type { Proposal } from './outcome.ts';
import { byNamespace, type Wanted } from './targets.ts';

export interface StandingDeps {
  readonly cluster: Pick<Cluster, 'read' | 'mergedKeys'>;
  /** This one and those that it was before. */
  readonly instances: readonly string[];
}

/** What is known of the wanted targets already. `undefined`: only a look at the cluster tells. */
export interface Sight {
  /** There, and of this instance. */
  readonly isThere: (it: Wanted) => boolean | undefined;
  /** There, and made by the mapping that wants it. */
  readonly isMade: (it: Wanted) => boolean | undefined;
}

export const UNSEEN: Sight = { isThere: () => undefined, isMade: () => undefined };

/** A target that nobody wants any more, and stays until its mapping, by whichever name, has made the one that it wants now. */
export interface Waiting {
  readonly mapping: string;
  readonly target: TargetId;
  /** What is waited for. */
  readonly until: TargetId;
  /** The mapping that is to make it. */
  readonly by: string;
}

/** Whether a target is there and of this instance, whichever mapping made it. */
export async function isThere(it: Wanted, deps: StandingDeps): Promise<boolean> {
  const live = await look(it, deps);
  if (live === undefined) return false;
  return it.mapping.target.mode === 'merge' ? holdsMerge(it, live, deps) : isOurs(live, deps.instances);
}

async function isMade(it: Wanted, deps: StandingDeps): Promise<boolean> {
  const live = await look(it, deps);
  if (live === undefined) return false;
  const { name, target } = it.mapping;
  if (target.mode === 'merge') return holdsMerge(it, live, deps);
  return isOurs(live, deps.instances) && live.labels[LABEL.mapping] === name;
}

/** What cannot be looked at is not known to be there, and nothing is destroyed on account of it. */
async function look({ id, error }: Wanted, { cluster }: StandingDeps): Promise<LiveSecret | undefined> {
  if (error !== undefined) return undefined;
  try {
    return await cluster.read(id);
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}

/** A mark can be copied; what the API server holds for our manager cannot. */
function holdsMerge({ mapping }: Wanted, live: LiveSecret, { cluster, instances }: StandingDeps): boolean {
  return mergesIn(live).some(
    (merge) =>
      merge.mapping === mapping.name &&
      instances.includes(merge.instance) &&
      cluster.mergedKeys(live, mergeManager(merge.instance, merge.mapping)).length > 0,
  );
}

/**
 * A rename creates the new before it removes the old: what left is put off for as long as its mapping wants a target
 * that it has not made yet, for whatever reason. Its mapping may have another name by now. So a merge that ends is put
 * off for all that merge into the same Secret, and a target for all in its namespace that ask for what it was made of.
 */
export async function putOff(
  proposals: readonly Proposal[],
  wanted: readonly Wanted[],
  sight: Sight,
  deps: StandingDeps,
): Promise<{ readonly proposals: readonly Proposal[]; readonly waiting: readonly Waiting[] }> {
  const byMapping = Map.groupBy(wanted, ({ mapping }) => mapping.name);
  const merges = wanted.filter(({ mapping }) => mapping.target.mode === 'merge');
  const bySecret = Map.groupBy(merges, ({ id }) => formatTarget(id));
  const wantedIn = byNamespace(wanted);
  const followers = new Map<string, ReturnType<typeof successors<Wanted>>>();
  const renamed = ({ live }: Proposal): readonly Wanted[] => {
    const { namespace } = live.id;
    const mayFollow = followers.get(namespace) ?? successors(wantedIn(namespace));
    followers.set(namespace, mayFollow);
    return mayFollow(live);
  };
  const awaitedBy = (it: Proposal): readonly Wanted[] => {
    const its = byMapping.get(it.mapping) ?? [];
    return [
      ...(isMoved(it, its[0]?.mapping.target) ? its : []),
      ...(it.ending === undefined ? renamed(it) : (bySecret.get(formatTarget(it.live.id)) ?? [])),
    ];
  };
  const seen = new Map<Wanted, boolean>();
  const firstMissing = async (its: readonly Wanted[]): Promise<Wanted | undefined> => {
    for (const it of its) {
      const isThereNow = seen.get(it) ?? sight.isMade(it) ?? (await isMade(it, deps));
      seen.set(it, isThereNow);
      if (!isThereNow) return it;
    }
    return undefined;
  };
  const free: Proposal[] = [];
  const waiting: Waiting[] = [];
  for (const proposal of proposals) {
    const missing = await firstMissing(awaitedBy(proposal));
    if (missing === undefined) free.push(proposal);
    else
      waiting.push({
        mapping: proposal.mapping,
        target: proposal.live.id,
        until: missing.id,
        by: missing.mapping.name,
      });
  }
  return { proposals: free, waiting };
}

/** Not so where a namespace lost its label: nothing takes the place of what is taken back from there. */
function isMoved({ live }: Proposal, target: TargetSpec | undefined): boolean {
  return target !== undefined && (target.namespaceSelector === undefined || target.secret !== live.id.secret);
}
