import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, type Guard, type GuardedProcess, startGuarded } from './guarded.ts';
import type { TestCluster } from './inject.ts';
import { type Kubernetes, SERVICE_ACCOUNT_KEY, startControlPlane } from './kubernetes.ts';
import { assertStatus, createKubernetesApi } from './kubernetes-api.ts';
import { type ControllerPrograms, installControllers, installKubernetes } from './kubernetes-install.ts';
import { type Lifetime, reportToStderr, type Service, until } from './service.ts';

/** A separate cluster with the controllers and the scheduler of Kubernetes. */
export interface ControlledCluster extends Service, TestCluster {}

export interface ControlledClusterOptions {
  /**
   * The number of nodes without kubelets. On them, kwok reports each pod as ready after a moment. `kwok/stages.yaml`
   * has the exceptions. Default: 3.
   */
  readonly nodes?: number;
  /** More flags of the API server. */
  readonly apiServerFlags?: readonly string[];
}

const STAGES = fileURLToPath(new URL('kwok/stages.yaml', import.meta.url));
/** The nodes with this annotation are those that kwok plays. */
const KWOK_NODE = { 'kwok.x-k8s.io/node': 'fake' };

/** Starts a cluster. It takes about 10 seconds, after the programs are built. */
export async function startControlledCluster({
  nodes = 3,
  apiServerFlags = [],
}: ControlledClusterOptions = {}): Promise<ControlledCluster> {
  const programs = await installKubernetes(reportToStderr);
  const controllers = await installControllers(reportToStderr);
  return retryOnPortClash(() =>
    startGuarded('cluster', async (guard) => {
      const plane = await startControlPlane(programs, guard, apiServerFlags);
      const { request } = createKubernetesApi({ ...plane, token: plane.adminToken });
      const cluster = { ...plane, request, token: plane.adminToken, auditLogPath: plane.auditLogPath };
      const started = await startControllers(controllers, guard, plane);
      for (const n of Array.from({ length: nodes }, (_, index) => index))
        await createNode(cluster, `node-${n}`);
      await until('The start of the controllers', 60_000, async () => {
        for (const process of started) await assertStarting(process);
        return (await hasServiceAccount(cluster)) && (await readyNodes(cluster)) === nodes;
      });
      return cluster;
    }),
  );
}

async function startControllers(
  { controllerManager, scheduler, kwok }: ControllerPrograms,
  guard: Guard,
  plane: Omit<Kubernetes, keyof Lifetime>,
): Promise<readonly GuardedProcess[]> {
  const { folder, kubeconfig, caFile } = plane;
  // One process of each kind needs no lease, and a lease would delay its start.
  const common = async (certs: string) => [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${await freePort()}`,
    `--cert-dir=${join(folder, certs)}`,
    '--leader-elect=false',
    // The defaults limit the clients of these programs to 20 requests a second, which slows large rollouts.
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
  ];
  const env = {};
  return [
    guard.start({
      name: 'kube-controller-manager',
      command: controllerManager,
      args: [
        ...(await common('controller-manager-certs')),
        `--service-account-private-key-file=${join(folder, SERVICE_ACCOUNT_KEY)}`,
        `--root-ca-file=${caFile}`,
        // kwok renews no leases. Without these flags, all pods would become unready a minute after the start.
        '--node-monitor-grace-period=24h',
        '--node-startup-grace-period=24h',
      ],
      env,
    }),
    guard.start({
      name: 'kube-scheduler',
      command: scheduler,
      args: await common('scheduler-certs'),
      env,
    }),
    guard.start({
      name: 'kwok',
      command: kwok,
      args: [
        `--kubeconfig=${kubeconfig}`,
        `--config=${STAGES}`,
        '--manage-all-nodes=false',
        `--manage-nodes-with-annotation-selector=${Object.entries(KWOK_NODE).flat().join('=')}`,
        `--server-address=127.0.0.1:${await freePort()}`,
      ],
      // kwok also reads its configuration from the home folder.
      env: { HOME: folder },
    }),
  ];
}

async function createNode({ request }: Pick<ControlledCluster, 'request'>, name: string): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' };
  const answer = await request('POST', '/api/v1/nodes', {
    metadata: { name, labels, annotations: KWOK_NODE },
  });
  assertStatus(answer, 201, `create ${name}`);
}

async function hasServiceAccount({ request }: Pick<ControlledCluster, 'request'>): Promise<boolean> {
  return (await request('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200;
}

interface Nodes {
  readonly items: readonly {
    readonly spec: { readonly taints?: readonly object[] };
    readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

/** Returns the number of nodes that accept pods. */
async function readyNodes({ request }: Pick<ControlledCluster, 'request'>): Promise<number> {
  const { items } = (await request<Nodes>('GET', '/api/v1/nodes')).body;
  return items.filter(
    ({ spec, status }) =>
      (spec.taints ?? []).length === 0 &&
      status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  ).length;
}
