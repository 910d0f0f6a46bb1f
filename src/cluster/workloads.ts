/** The kinds whose pods are replaced when their template changes. */
export const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'] as const;
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

/** The text as a workload kind, or `undefined` if it is none. */
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
   * Pod annotations that another manager wrote last, as `kubectl rollout undo` does. Empty if the cluster does not
   * record managers.
   */
  readonly foreign?: readonly string[];
  /** Whether its pods are being replaced now, by the status from its controller. */
  readonly rolling: boolean;
}

/**
 * The workloads of a cluster. Every failure is a typed error. `undefined` and an empty list mean that they definitely
 * do not exist.
 */
export interface Workloads {
  read(id: WorkloadId, options?: { signal?: AbortSignal }): Promise<LiveWorkload | undefined>;
  list(
    kind: WorkloadKind,
    namespace: string,
    matchLabels: Readonly<Record<string, string>>,
    options?: { signal?: AbortSignal },
  ): Promise<readonly LiveWorkload[]>;
  /** Sets annotations of the pod template, which restarts the pods. `missing`: the workload was deleted meanwhile. */
  annotatePods(
    live: LiveWorkload,
    annotations: Readonly<Record<string, string>>,
    options?: { signal?: AbortSignal },
  ): Promise<'written' | 'missing'>;
}
