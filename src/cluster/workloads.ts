/** The kinds whose pods can be rolled by a change of their template. */
export const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'] as const;
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

/** As a kind, if it is one. */
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
  /** The annotations of its pod template. */
  readonly podAnnotations: Readonly<Record<string, string>>;
  /** Those of them that somebody else wrote last, as `kubectl rollout undo` does; none where nobody notes it. */
  readonly foreign?: readonly string[];
  /** Whether its pods are being replaced now, by what its controller says. */
  readonly rolling: boolean;
}

/** Workloads of a cluster. Every failure is a typed error; `undefined` and an empty list are definite. */
export interface Workloads {
  read(id: WorkloadId, options?: { signal?: AbortSignal }): Promise<LiveWorkload | undefined>;
  list(
    kind: WorkloadKind,
    namespace: string,
    matchLabels: Readonly<Record<string, string>>,
    options?: { signal?: AbortSignal },
  ): Promise<readonly LiveWorkload[]>;
  /** Sets annotations of the pod template, which rolls it. Gone meanwhile is `missing`. */
  annotatePods(
    live: LiveWorkload,
    annotations: Readonly<Record<string, string>>,
    options?: { signal?: AbortSignal },
  ): Promise<'written' | 'missing'>;
}
