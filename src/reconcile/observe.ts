import type { Mapping } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import { type DecideDeps, decideBeforeRecorded, type PendingDecision } from './decide.ts';
import { type Comparison, compareWithLastWrite } from './drift-check.ts';
import type { Recorder } from './recorder.ts';

interface ObserveDeps extends DecideDeps {
  readonly recorder: Recorder;
  /** Whether a recent list of Secrets shows that a target does not exist. Absent if there is no such list. */
  readonly isMissing?: ((id: TargetId) => boolean) | undefined;
}

/** What is planned for a target, compared with what was last written. */
export interface Observation {
  readonly decision: PendingDecision;
  readonly comparison: Comparison;
}

/**
 * @param isSure Whether the cluster itself was read to find that a target is missing. False if only a list was used,
 * which may be stale.
 */
export async function observe(
  mapping: Mapping,
  id: TargetId,
  deps: ObserveDeps,
  isSure = true,
): Promise<Observation> {
  const decision = await decideBeforeRecorded(mapping, id, deps);
  return { decision, comparison: await compareWithLastWrite(decision, mapping, id, deps, isSure) };
}

/**
 * Observes a target that is missing from a list, without reading it. This is enough for a target that was never
 * written: if the Secret exists after all, its creation fails and the target is read. Returns undefined for a target
 * that may have been written, because it must be read first.
 */
export async function observeMissing(
  mapping: Mapping,
  id: TargetId,
  deps: ObserveDeps,
): Promise<Observation | undefined> {
  if (mapping.target.mode !== 'own' || deps.isMissing?.(id) !== true) return undefined;
  const cluster = { ...deps.cluster, read: async () => undefined };
  const observation = await observe(mapping, id, { ...deps, cluster }, false);
  return observation.decision.plan.kind === 'create' && !observation.comparison.isGone
    ? observation
    : undefined;
}
