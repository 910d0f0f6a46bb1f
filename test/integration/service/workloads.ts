import { expect } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import type { World } from './world.ts';

// This cluster has no controller. A rollout therefore runs until the test writes the final status, as a controller
// would.

export const PLURALS = {
  Deployment: 'deployments',
  StatefulSet: 'statefulsets',
  DaemonSet: 'daemonsets',
} as const;
export type Kind = keyof typeof PLURALS;

interface RawWorkload {
  readonly metadata: { readonly generation: number };
  readonly spec: {
    readonly template: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } };
  };
}

export interface Workload {
  readonly name: string;
  read(): Promise<RawWorkload>;
  /** The number of changes of the pod template. */
  rolls(): Promise<number>;
  /** The bridge's annotations in the pod template. */
  annotations(): Promise<Readonly<Record<string, string>>>;
  /** Writes the status of a finished rollout. */
  finish(): Promise<void>;
  /** Changes the pod template as another writer. */
  annotate(annotations: Readonly<Record<string, string | null>>): Promise<void>;
}

const MERGE = { 'content-type': 'application/merge-patch+json' };
const OURS = 'restart.secretbridge.dev/';

/** Creates a workload without a running rollout in the namespace `apps`. */
export async function createWorkload(
  world: World,
  kind: Kind,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<Workload> {
  const { request } = kubernetes();
  const path = `/apis/apps/v1/namespaces/${world.ns('apps')}/${PLURALS[kind]}`;
  const spec = {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name }, annotations: { theirs: 'kept' } },
      spec: { containers: [{ name: 'x', image: 'x' }] },
    },
    ...(kind === 'StatefulSet' ? { serviceName: 'x' } : {}),
  };
  assertStatus(await request('POST', path, { metadata: { name, labels }, spec }), 201, name);
  const patch = async (body: object, at = ''): Promise<void> =>
    assertStatus(await request('PATCH', `${path}/${name}${at}`, body, MERGE), 200, `patch ${name}`);
  const workload: Workload = {
    name,
    read: async () => (await request<RawWorkload>('GET', `${path}/${name}`)).body,
    rolls: async () => (await workload.read()).metadata.generation - 1,
    async annotations() {
      const { annotations = {} } = (await workload.read()).spec.template.metadata;
      expect(annotations.theirs).toBe('kept');
      return Object.fromEntries(Object.entries(annotations).filter(([key]) => key.startsWith(OURS)));
    },
    async finish() {
      const { generation } = (await workload.read()).metadata;
      await patch({ status: { observedGeneration: generation, ...STATUS[kind] } }, '/status');
    },
    annotate: (annotations) => patch({ spec: { template: { metadata: { annotations } } } }),
  };
  await workload.finish();
  return workload;
}

const STATUS: Readonly<Record<Kind, object>> = {
  Deployment: { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 },
  StatefulSet: { replicas: 1, readyReplicas: 1, updateRevision: 'x', currentRevision: 'x' },
  DaemonSet: {
    currentNumberScheduled: 1,
    desiredNumberScheduled: 1,
    updatedNumberScheduled: 1,
    numberAvailable: 1,
    numberReady: 1,
    numberMisscheduled: 0,
  },
};
