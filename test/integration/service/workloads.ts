import { expect } from 'vitest';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import type { World } from './world.ts';

// No controller runs in this cluster: a workload rolls until the test says, as its controller would, that it has ended.

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
  look(): Promise<RawWorkload>;
  /** How often its pod template was changed since it was made. */
  rolls(): Promise<number>;
  /** The annotations of the bridge in its pod template. */
  annotations(): Promise<Readonly<Record<string, string>>>;
  /** Says as its controller does that all pods are new. */
  finish(): Promise<void>;
  /** As somebody else who changes its pod template. */
  annotate(annotations: Readonly<Record<string, string | null>>): Promise<void>;
}

const MERGE = { 'content-type': 'application/merge-patch+json' };
const OURS = 'restart.secretbridge.dev/';

/** A workload in the namespace `apps`, that stands still. */
export async function makeWorkload(
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
    look: async () => (await request<RawWorkload>('GET', `${path}/${name}`)).body,
    rolls: async () => (await workload.look()).metadata.generation - 1,
    async annotations() {
      const { annotations = {} } = (await workload.look()).spec.template.metadata;
      expect(annotations.theirs).toBe('kept');
      return Object.fromEntries(Object.entries(annotations).filter(([key]) => key.startsWith(OURS)));
    },
    async finish() {
      const { generation } = (await workload.look()).metadata;
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
