import type { LiveWorkload, WorkloadId, Workloads } from '../../src/cluster/workloads.ts';
import { AppError } from '../../src/core/errors.ts';
import { selects } from '../../src/core/label-selector.ts';

export interface MemoryWorkload {
  readonly labels?: Readonly<Record<string, string>>;
  readonly podAnnotations?: Readonly<Record<string, string>>;
  readonly rolling?: boolean;
  readonly stalled?: boolean;
  /** The pod annotations whose last writer was another manager. */
  readonly foreign?: readonly string[];
}

/** Workloads in memory. An annotation starts a rollout, and `settle` completes it. `stall` stops it before its end. */
export interface MemoryWorkloads extends Workloads {
  put(id: WorkloadId, workload?: MemoryWorkload): void;
  forget(id: WorkloadId): void;
  settle(id: WorkloadId): void;
  stall(id: WorkloadId): void;
  /** Sets the pod annotations, as another tool does, and completes the rollout. */
  replace(id: WorkloadId, podAnnotations: Readonly<Record<string, string>>): void;
  /** The workloads that were annotated, in order. */
  readonly annotated: readonly {
    readonly id: WorkloadId;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
  /**
   * Sets the results of the next calls, in order. For an error, the call fails with this error. For `undefined`, the
   * call succeeds.
   */
  fail(call: 'read' | 'list' | 'annotatePods', ...errors: readonly (AppError | undefined)[]): void;
}

interface Stored extends Required<MemoryWorkload> {
  readonly id: WorkloadId;
  readonly uid: string;
  readonly version: number;
}

export function createMemoryWorkloads(): MemoryWorkloads {
  const objects = new Map<string, Stored>();
  const annotated: MemoryWorkloads['annotated'][number][] = [];
  const faults = new Map<string, (AppError | undefined)[]>();
  let version = 0;

  const keyOf = ({ kind, namespace, name }: WorkloadId) => `${kind} ${namespace}/${name}`;
  const live = ({
    id,
    uid,
    version: at,
    podAnnotations,
    rolling,
    stalled,
    foreign,
  }: Stored): LiveWorkload => ({
    id,
    uid,
    resourceVersion: `${at}`,
    podAnnotations,
    foreign,
    templateHash: JSON.stringify(podAnnotations),
    rolling,
    stalled,
    updatedPods: 0,
  });
  const store = (stored: Omit<Stored, 'version'>) => {
    version += 1;
    objects.set(keyOf(stored.id), { ...stored, version });
  };

  function enter(call: string, signal: AbortSignal | undefined): void {
    if (signal?.aborted)
      throw new AppError('CLUSTER_UNAVAILABLE', { detail: 'cancelled before the API server answered' });
    const error = faults.get(call)?.shift();
    if (error !== undefined) throw error;
  }

  return {
    annotated,
    put(id, { labels = {}, podAnnotations = {}, rolling = false, stalled = false, foreign = [] } = {}) {
      store({ id, uid: `uid-${version + 1}`, labels, podAnnotations, rolling, stalled, foreign });
    },
    forget: (id) => void objects.delete(keyOf(id)),
    settle(id) {
      const stored = objects.get(keyOf(id));
      if (stored !== undefined) store({ ...stored, rolling: false, stalled: false });
    },
    stall(id) {
      const stored = objects.get(keyOf(id));
      if (stored !== undefined) store({ ...stored, rolling: false, stalled: true });
    },
    replace(id, podAnnotations) {
      const stored = objects.get(keyOf(id));
      if (stored !== undefined) store({ ...stored, podAnnotations, rolling: false, stalled: false });
    },
    fail: (call, ...errors) => void faults.set(call, [...(faults.get(call) ?? []), ...errors]),
    async read(id, { signal } = {}) {
      enter('read', signal);
      const stored = objects.get(keyOf(id));
      return stored && live(stored);
    },
    async list(kind, namespace, selector, { signal } = {}) {
      enter('list', signal);
      return [...objects.values()]
        .filter(({ id }) => id.kind === kind && id.namespace === namespace)
        .filter(({ labels }) => selects(selector, new Map(Object.entries(labels))))
        .map(live);
    },
    async annotatePods({ id, uid }, annotations, { signal } = {}) {
      enter('annotatePods', signal);
      const stored = objects.get(keyOf(id));
      if (stored?.uid !== uid) return 'missing';
      annotated.push({ id, annotations });
      const podAnnotations = { ...stored.podAnnotations, ...annotations };
      const changed = Object.entries(annotations).flatMap(([name, text]) =>
        stored.podAnnotations[name] === text ? [] : [name],
      );
      const foreign = stored.foreign.filter((name) => !changed.includes(name));
      const [rolling, stalled] = changed.length > 0 ? [true, false] : [stored.rolling, stored.stalled];
      store({ ...stored, podAnnotations, foreign, rolling, stalled });
      return 'written';
    },
  };
}
