import { isObject, type JsonObject } from '../core/json.ts';
import { listIn, objectIn, textIn } from './json.ts';
import type { WorkloadKind } from './workloads.ts';

/**
 * Whether a rollout waits for a person: the workload is paused before all its pods are replaced, or its controller has
 * reported that the rollout failed. The strategy OnDelete does not count, because it has no rollouts.
 */
export function isStalled(kind: WorkloadKind, item: JsonObject): boolean {
  const spec = objectIn(item, 'spec') ?? {};
  const status = objectIn(item, 'status') ?? {};
  if (!isObserved(item, status)) return false;
  if (kind === 'Rollout') return rolloutStalls(spec, status);
  return (
    kind === 'Deployment' && (spec.paused === true || isPastDeadline(status)) && deploymentRolls(spec, status)
  );
}

/** The number of pods with the current pod template, or 0 if the controller has reported none. */
export function updatedPods(kind: WorkloadKind, item: JsonObject): number {
  const field = kind === 'DaemonSet' ? 'updatedNumberScheduled' : 'updatedReplicas';
  return numberIn(objectIn(item, 'status') ?? {}, field, 0);
}

/**
 * Whether the status of a workload shows that its pods are being replaced. Uses the rules of `kubectl rollout status`.
 * If the controller has not observed a change yet, the workload counts as rolling. A rollout does not count if it waits
 * for a person (paused, past its progress deadline, or with an OnDelete strategy). Otherwise the restarts of all other
 * workloads would have to wait for it.
 */
export function isRolling(kind: WorkloadKind, item: JsonObject): boolean {
  const spec = objectIn(item, 'spec') ?? {};
  const status = objectIn(item, 'status') ?? {};
  if (kind !== 'DaemonSet' && spec.paused === true) return false;
  if (!isObserved(item, status)) return true;
  switch (kind) {
    case 'Deployment':
      return !isPastDeadline(status) && deploymentRolls(spec, status);
    case 'StatefulSet':
      return strategyOf(spec) !== 'OnDelete' && statefulSetRolls(spec, status);
    case 'DaemonSet':
      return strategyOf(spec) !== 'OnDelete' && daemonSetRolls(status);
    case 'Rollout':
      return rolloutRolls(spec, status);
  }
}

function isObserved(item: JsonObject, { observedGeneration }: JsonObject): boolean {
  const generation = numberIn(objectIn(item, 'metadata') ?? {}, 'generation', 0);
  if (observedGeneration === undefined) return false;
  // A Rollout stores `observedGeneration` as text. Old releases of Argo Rollouts store a hash, which cannot be
  // compared.
  const observed = Number(observedGeneration);
  return Number.isNaN(observed) || observed >= generation;
}

function isPastDeadline(status: JsonObject): boolean {
  return listIn(status, 'conditions')
    .filter(isObject)
    .some(({ type, reason }) => type === 'Progressing' && reason === 'ProgressDeadlineExceeded');
}

function deploymentRolls(spec: JsonObject, status: JsonObject): boolean {
  const updated = numberIn(status, 'updatedReplicas', 0);
  return (
    updated < numberIn(spec, 'replicas', 1) ||
    numberIn(status, 'replicas', 0) > updated ||
    numberIn(status, 'availableReplicas', 0) < updated
  );
}

function statefulSetRolls(spec: JsonObject, status: JsonObject): boolean {
  const replicas = numberIn(spec, 'replicas', 1);
  if (numberIn(status, 'readyReplicas', 0) < replicas) return true;
  const strategy = objectIn(spec, 'updateStrategy') ?? {};
  const partition = numberIn(objectIn(strategy, 'rollingUpdate') ?? {}, 'partition', 0);
  // While a partition is set, the pods with an ordinal below the partition keep the old revision.
  if (partition > 0) return numberIn(status, 'updatedReplicas', 0) < replicas - partition;
  return textIn(status, 'updateRevision') !== textIn(status, 'currentRevision');
}

function daemonSetRolls(status: JsonObject): boolean {
  const desired = numberIn(status, 'desiredNumberScheduled', 0);
  return (
    numberIn(status, 'updatedNumberScheduled', 0) < desired ||
    numberIn(status, 'numberAvailable', 0) < desired
  );
}

/** https://argo-rollouts.readthedocs.io/en/stable/features/specification/ */
function rolloutRolls(spec: JsonObject, status: JsonObject): boolean {
  const phase = textIn(status, 'phase');
  if (phase === 'Paused') return pauseEnds(spec, status) && deploymentRolls(spec, status);
  if (phase !== undefined) return phase === 'Progressing';
  return !isPastDeadline(status) && deploymentRolls(spec, status);
}

function rolloutStalls(spec: JsonObject, status: JsonObject): boolean {
  const phase = textIn(status, 'phase');
  if (phase === 'Degraded') return true;
  return phase === 'Paused' && !pauseEnds(spec, status) && deploymentRolls(spec, status);
}

/** Whether the current pause of a Rollout has a duration. Without a duration, a person has to promote the Rollout. */
function pauseEnds(spec: JsonObject, status: JsonObject): boolean {
  if (spec.paused === true) return false;
  const { canary, blueGreen } = objectIn(spec, 'strategy') ?? {};
  if (isObject(blueGreen)) return numberIn(blueGreen, 'autoPromotionSeconds', 0) > 0;
  if (!isObject(canary)) return false;
  const step = listIn(canary, 'steps')[numberIn(status, 'currentStepIndex', 0)];
  const { duration = null } = (isObject(step) && objectIn(step, 'pause')) || {};
  return duration !== null;
}

function strategyOf(spec: JsonObject): string | undefined {
  return textIn(objectIn(spec, 'updateStrategy') ?? {}, 'type');
}

function numberIn(parent: JsonObject, name: string, fallback: number): number {
  const value = parent[name];
  return typeof value === 'number' ? value : fallback;
}
