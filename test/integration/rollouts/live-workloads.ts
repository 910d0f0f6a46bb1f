import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request as send } from 'undici';
import { expect } from 'vitest';
import { within } from '../service/service-process.ts';
import { type Kind, PLURALS } from '../service/workloads.ts';
import type { World } from '../service/world.ts';
import type { TestCluster } from '../services/inject.ts';
import { installFromLayer } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

// Workloads of a cluster with controllers, whose pods become ready on nodes without kubelets.

export const READY_IMAGE = 'app';
/** Pods with this image never become ready once secretbridge has restarted their workload. */
export const BREAKING_IMAGE = 'breaks-when-restarted';

const MERGE = { 'content-type': 'application/merge-patch+json' };
const OURS = 'restart.secretbridge.dev/';

export interface LiveObject {
  readonly metadata: {
    readonly name: string;
    readonly generation: number;
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly name: string }[];
  };
  readonly spec: { readonly template: { readonly metadata: LiveObject['metadata'] } };
  readonly status: Readonly<Record<string, number | undefined>>;
}

export interface LiveWorkload {
  readonly kind: Kind;
  readonly name: string;
  readonly path: string;
  /** The manifest that created the workload. */
  readonly manifest: object;
  read(): Promise<LiveObject>;
  patch(body: object): Promise<void>;
  /** The names of the annotations of secretbridge in the pod template. */
  restartAnnotations(): Promise<readonly string[]>;
  /** The number of pod templates that had pods: ReplicaSets, or ControllerRevisions. */
  revisions(): Promise<number>;
  pods(): Promise<readonly LiveObject[]>;
  /** Every state of the workload since a version of the API server, oldest first. */
  statesSince(resourceVersion: string): Promise<readonly LiveObject[]>;
  /** Runs `kubectl rollout status` until the rollout ends. Returns the exit code. */
  rolloutStatus(): Promise<number>;
}

/** Creates a workload in the namespace `apps`, and waits until its pods are ready. */
export async function deploy(
  world: Pick<World, 'ns'>,
  cluster: TestCluster,
  kind: Kind,
  name: string,
  { image = READY_IMAGE, ...spec }: { readonly image?: string } & Readonly<Record<string, unknown>> = {},
): Promise<LiveWorkload> {
  const { request } = cluster;
  const namespace = world.ns('apps');
  const folder = `/apis/apps/v1/namespaces/${namespace}`;
  const path = `${folder}/${PLURALS[kind]}/${name}`;
  const labels = { app: name };
  const manifest = {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'app', image }] } },
      ...(kind === 'StatefulSet' ? { serviceName: name, podManagementPolicy: 'Parallel' } : {}),
      ...spec,
    },
  };
  assertStatus(await request('POST', `${folder}/${PLURALS[kind]}`, manifest), 201, `create ${name}`);
  const list = async (at: string) => (await request<{ items: readonly LiveObject[] }>('GET', at)).body.items;
  const workload: LiveWorkload = {
    kind,
    name,
    path,
    manifest,
    read: async () => (await request<LiveObject>('GET', path)).body,
    patch: async (body) => assertStatus(await request('PATCH', path, body, MERGE), 200, `patch ${name}`),
    async restartAnnotations() {
      const { annotations = {} } = (await workload.read()).spec.template.metadata;
      return Object.keys(annotations).filter((key) => key.startsWith(OURS));
    },
    async revisions() {
      const plural = kind === 'Deployment' ? 'replicasets' : 'controllerrevisions';
      const owned = (await list(`${folder}/${plural}`)).filter(({ metadata }) =>
        metadata.ownerReferences?.some((owner) => owner.name === name),
      );
      return owned.length;
    },
    pods: () => list(`/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${name}`),
    statesSince: (version) => statesSince(cluster, `${folder}/${PLURALS[kind]}`, name, version),
    rolloutStatus: () =>
      kubectl(cluster, ['-n', namespace, 'rollout', 'status', `${kind}/${name}`, '--timeout=120s']),
  };
  expect(await workload.rolloutStatus(), `the first rollout of ${name}`).toBe(0);
  return workload;
}

/** Waits until secretbridge has restarted the workload for this number of Secrets. */
export async function restarted(workload: LiveWorkload, secrets = 1): Promise<void> {
  await within(60_000, async () => expect(await workload.restartAnnotations()).toHaveLength(secrets));
}

/** The API server keeps recent events, so a watch that starts in the past shows every state since then. */
async function statesSince(
  { address, caFile, token }: TestCluster,
  path: string,
  name: string,
  resourceVersion: string,
): Promise<readonly LiveObject[]> {
  const query = `watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}&fieldSelector=metadata.name%3D${name}`;
  await using stack = new AsyncDisposableStack();
  const dispatcher = new Agent({ connect: { ca: readFileSync(caFile, 'utf8') } });
  stack.defer(() => dispatcher.close());
  const { body } = await send(`${address}${path}?${query}`, {
    dispatcher,
    headers: { authorization: `Bearer ${token}` },
  });
  const lines = (await body.text()).split('\n').filter((line) => line !== '');
  const events = lines.map((line) => JSON.parse(line) as { type: string; object: LiveObject });
  expect(events.find(({ type }) => type === 'ERROR')).toBeUndefined();
  return events.map(({ object }) => object);
}

async function kubectl({ kubeconfig }: TestCluster, args: readonly string[]): Promise<number> {
  const program = await installFromLayer('kubectl');
  return new Promise((resolve) => {
    execFile(program, ['--kubeconfig', kubeconfig, ...args], (error) =>
      resolve(error === null ? 0 : Number(error.code ?? 1)),
    );
  });
}
