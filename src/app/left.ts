import type { Population } from '../reconcile/destroy.ts';
import { findEndedMerges, findLeft, type LeftFound, proposalOf, type Unseen } from '../reconcile/left.ts';
import type { Proposal } from '../reconcile/outcome.ts';
import { namespacesOf, wantedByAny, wantedIndex } from '../reconcile/targets.ts';
import type { App } from './app.ts';

/** The targets of this instance that no mapping wants; with `search`, also those that the audit does not know. */
export async function leftTargets(app: App, search = false): Promise<LeftFound> {
  const namespaces = search ? namespacesOf(app.targets) : [];
  const { audit, cluster, instances } = app;
  return findLeft({ audit, cluster, instances, isWanted: wantedByAny(app.targets) }, namespaces);
}

function endedMerges(
  { audit, cluster, instances, fingerprints, targets }: App,
  gone: LeftFound['gone'],
): Promise<readonly Proposal[]> {
  const merged = targets.filter(({ mapping }) => mapping.target.mode === 'merge').map(({ id }) => id);
  const [isWanted, wants] = [wantedByAny(targets), wantedIndex(targets)];
  return findEndedMerges({ audit, cluster, instances, fingerprints, isWanted, wants, merged, gone });
}

/** What the brake measures shares by: targets that this run did not look at count as being there. */
export function populationOf(
  app: App,
  seen: readonly { readonly alive: boolean }[],
  left: number,
): Population {
  const unseen = Math.max(0, app.targets.length - seen.length);
  return {
    total: app.targets.length + left,
    alive: seen.filter(({ alive }) => alive).length + unseen + left,
  };
}

export interface Leaving {
  readonly proposals: readonly Proposal[];
  /** How many left in all. */
  readonly count: number;
  /** How many of them are to be deleted. */
  readonly ended: number;
  readonly unseen: readonly Unseen[];
}

/** Of the targets that left, those whose mapping had said `onMappingRemoved: delete`. */
export async function leftProposals(app: App, only: string | undefined): Promise<Leaving> {
  const { left, unseen, gone } = await leftTargets(app);
  const going = left.filter(
    ({ onMappingRemoved, mapping }) =>
      onMappingRemoved === 'delete' && (only === undefined || mapping === only),
  );
  const ended = (await endedMerges(app, gone)).filter(
    ({ mapping }) => only === undefined || mapping === only,
  );
  const proposals = [...going.map((it) => proposalOf(it, app.fingerprints)), ...ended];
  return { proposals, count: left.length, ended: going.length, unseen };
}
