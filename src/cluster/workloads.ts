import type { LabelSelector } from '../core/label-selector.ts';

/** The kinds of workloads that replace their pods when the pod template changes. */
export const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'] as const;
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

interface WorkloadApi {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

export const WORKLOAD_APIS: Readonly<Record<WorkloadKind, WorkloadApi>> = {
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments' },
  StatefulSet: { group: 'apps', version: 'v1', plural: 'statefulsets' },
  DaemonSet: { group: 'apps', version: 'v1', plural: 'daemonsets' },
  Rollout: { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts' },
};

/** Returns the text as a workload kind, or `undefined` if it is not a supported kind. */
export function workloadKind(text: string): WorkloadKind | undefined {
  return WORKLOAD_KINDS.find((kind) => kind === text);
}

export interface WorkloadId {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
}

export interface LiveWorkload {
  readonly id: WorkloadId;
  readonly uid: string;
  readonly resourceVersion: string;
  /** The annotations of the pod template. */
  readonly podAnnotations: Readonly<Record<string, string>>;
  /**
   * Pod annotations that another manager wrote last, for example through `kubectl rollout undo`. Empty if the cluster
   * does not record managers.
   */
  readonly foreign?: readonly string[];
  /** A hash of the pod template. */
  readonly templateHash: string;
  /** Whether the status from the controller shows that the pods are being replaced. */
  readonly rolling: boolean;
  /** Whether the replacement of the pods has begun and now waits for a person, for example in a paused workload. */
  readonly stalled: boolean;
  /** The number of pods that already have the current pod template. */
  readonly updatedPods: number;
}

/**
 * The workloads of a cluster. Every failure is a typed error. `undefined` and an empty list mean that no such workload
 * exists.
 */
export interface Workloads {
  read(id: WorkloadId, options?: { signal?: AbortSignal }): Promise<LiveWorkload | undefined>;
  list(
    kind: WorkloadKind,
    namespace: string,
    selector: LabelSelector,
    options?: { signal?: AbortSignal },
  ): Promise<readonly LiveWorkload[]>;
  /** Sets annotations of the pod template, which restarts the pods. `missing`: the workload no longer exists. */
  annotatePods(
    live: LiveWorkload,
    annotations: Readonly<Record<string, string>>,
    options?: { signal?: AbortSignal },
  ): Promise<'written' | 'missing'>;
}
