import type { Cluster } from '../cluster/cluster.ts';
import { type AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import type { Desired } from '../sync/desired.ts';
import { mergedView, mergeManager } from '../sync/merge.ts';
import { type Plan, plan } from '../sync/plan.ts';
import { type GatherDeps, gather } from './gather.ts';

/** What deciding needs of the world, the same for every target of a pass. */
export interface DecideDeps extends GatherDeps {
  readonly instance: string;
  readonly formerInstances: readonly string[];
  readonly cluster: Pick<Cluster, 'read' | 'mergedKeys'>;
  readonly fingerprints: Fingerprinter;
  /** Store name to the hash of its definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** Whether the readings on record prove that a source is gone. */
  readonly provenAbsent: (source: Source, mapping: Mapping) => Promise<boolean>;
  /** Whether a mapping of the configuration wants a target. */
  readonly wants: (mapping: string, id: TargetId) => boolean;
}

/** What a target was decided on, so that a change can be recorded with it. */
export interface Decision {
  readonly plan: Plan;
  readonly desired: Desired;
  readonly live: LiveSecret | undefined;
}

/** Gathers everything and plans; changes nothing. `plan` shows this, `sync` carries it out. */
export async function decide(mapping: Mapping, id: TargetId, deps: DecideDeps): Promise<Decision> {
  // Together, so that the reads of several targets meet and can be batched.
  const reading = readLive(id, deps);
  const want = await gather(mapping, id, async () => ownPart((await reading).live, mapping, deps), deps);
  const { live, error } = await reading;
  if (error !== undefined) return { plan: { kind: 'fail', keys: [], error }, desired: want, live };
  const { instance, formerInstances, stores, fingerprints } = deps;
  const wantedBy = (other: string): boolean => deps.wants(other, id);
  const proven = await gone(want, mapping, deps);
  const input = {
    id,
    mapping,
    desired: want,
    live,
    instance,
    formerInstances,
    wantedBy,
    stores,
    fingerprints,
    merged: mergedKeys(live, mapping, deps),
    proven: (source: Source) => proven.includes(source),
  };
  return { plan: plan(input), desired: want, live };
}

function mergedKeys(
  live: LiveSecret | undefined,
  { name, target }: Mapping,
  { cluster, instance }: DecideDeps,
): readonly string[] {
  if (live === undefined || target.mode !== 'merge') return [];
  return cluster.mergedKeys(live, mergeManager(instance, name));
}

/** What of the target this mapping made. */
function ownPart(live: LiveSecret | undefined, mapping: Mapping, deps: DecideDeps): LiveSecret | undefined {
  if (live === undefined || mapping.target.mode !== 'merge') return live;
  const { instance } = deps;
  return mergedView(live, { instance, mapping: mapping.name, merged: mergedKeys(live, mapping, deps) });
}

/** The absent sources whose absence is proved. */
async function gone(
  want: Desired,
  mapping: Mapping,
  { provenAbsent }: DecideDeps,
): Promise<readonly Source[]> {
  const absent = want.kind === 'ready' ? want.absent : [];
  const verdicts = await Promise.all(absent.map((source) => provenAbsent(source, mapping)));
  return absent.filter((_, index) => verdicts[index]);
}

async function readLive(
  id: TargetId,
  { cluster }: Pick<DecideDeps, 'cluster'>,
): Promise<{ readonly live: LiveSecret | undefined; readonly error?: AppError }> {
  try {
    return { live: await cluster.read(id) };
  } catch (thrown) {
    return { live: undefined, error: toAppError(thrown) };
  }
}
