import type { Cluster } from '../cluster/cluster.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { Mapping } from '../core/mapping.ts';
import type { ReadResult, StoreRef } from '../core/reading.ts';
import type { LiveSecret } from '../core/secret.ts';
import type { TargetId } from '../core/target.ts';
import { type Desired, desired, sourcesOf, storeRef } from '../sync/desired.ts';
import { type Plan, plan } from '../sync/plan.ts';
import { describeSource } from '../sync/value.ts';

/** What deciding needs of the world, the same for every target of a pass. */
export interface DecideDeps {
  readonly instance: string;
  readonly formerInstances: readonly string[];
  readonly cluster: Pick<Cluster, 'read'>;
  readonly fingerprints: Fingerprinter;
  /** Store name to the hash of its definition. */
  readonly stores: ReadonlyMap<string, string>;
  readonly read: (refs: readonly StoreRef[]) => Promise<ReadonlyMap<string, ReadResult>>;
  /** The `access` rules. */
  readonly allows: (use: { namespace: string; store: string; key: string }) => boolean;
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
  const want = await gather(mapping, id, deps);
  let live: LiveSecret | undefined;
  try {
    live = await deps.cluster.read(id);
  } catch (thrown) {
    const error = toAppError(thrown);
    return { plan: { kind: 'fail', keys: [], error }, desired: want, live: undefined };
  }
  const { instance, formerInstances, stores, fingerprints } = deps;
  const wantedBy = (other: string): boolean => deps.wants(other, id);
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
  };
  return { plan: plan(input), desired: want, live };
}

/** Nothing is read for a mapping that may not read all of it. */
async function gather(mapping: Mapping, { namespace }: TargetId, deps: DecideDeps): Promise<Desired> {
  const sources = sourcesOf(mapping);
  const denied = sources.find(({ store, key }) => !deps.allows({ namespace, store, key }));
  if (denied !== undefined)
    return { kind: 'failed', error: new AppError('NOT_ALLOWED', { about: describeSource(denied) }) };
  return desired(mapping, await deps.read(sources.map(storeRef)));
}
