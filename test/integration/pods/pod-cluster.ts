import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { installFromLayer } from '../services/kubectl-layer.ts';
import { assertStatus } from '../services/kubernetes-api.ts';
import { type ControlledCluster, startControlledCluster } from '../services/kubernetes-controllers.ts';
import { startNode, type TestNode } from '../services/node/node.ts';
import { whyNoNode } from '../services/node/node-install.ts';
import { reportToStderr } from '../services/service.ts';

const run = promisify(execFile);

/** Why this machine cannot run pods. Undefined if it can. */
export const noPods = await whyNoNode();
/** A suffix for test names with the reason why tests with pods are skipped. */
export const PODS_NOTE = noPods === undefined ? '' : ` (skipped: ${noPods})`;

/** A cluster with the controllers of Kubernetes and a real node. */
export interface PodCluster extends AsyncDisposable {
  readonly cluster: ControlledCluster;
  readonly node: TestNode;
  /** Runs kubectl as administrator. Returns its output. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** Applies objects by kubectl. */
  apply(namespace: string, ...objects: readonly object[]): Promise<void>;
  createNamespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** Returns the running pods with this label, the oldest first. */
  pods(namespace: string, selector: string): Promise<readonly Pod[]>;
  /** Runs a program in the first container of a pod. Returns its output. */
  exec(namespace: string, pod: string, ...command: readonly string[]): Promise<string>;
  /** Makes the kubelet look at a pod at once, as `docs/how-to/use-from-an-application.md` says. */
  poke(namespace: string, selector: string): Promise<void>;
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
  };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly {
      readonly ready: boolean;
      readonly restartCount: number;
      readonly containerID: string;
      readonly lastState: { readonly terminated?: { readonly exitCode: number; readonly reason: string } };
    }[];
  };
}

export async function startPodCluster(report = reportToStderr): Promise<PodCluster> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(
    await startControlledCluster({
      nodes: 0,
      apiServerFlags: ['--kubelet-preferred-address-types=InternalIP'],
    }),
  );
  const node = stack.use(await startNode(cluster, { report }));
  const owned = stack.move();
  const kubectl = async (...args: readonly string[]) => {
    const command = await installFromLayer('kubectl');
    const options = { maxBuffer: 64 * 1024 * 1024 };
    return (await run(command, ['--kubeconfig', cluster.kubeconfig, ...args], options)).stdout;
  };
  let pokes = 0;
  return {
    cluster,
    node,
    kubectl,
    async apply(namespace, ...objects) {
      const text = objects.map((object) => stringify(object)).join('---\n');
      const command = await installFromLayer('kubectl');
      const args = ['--kubeconfig', cluster.kubeconfig, '--namespace', namespace, 'apply', '--filename', '-'];
      const applied = run(command, args);
      applied.child.stdin?.end(text);
      await applied;
    },
    async createNamespace(name, labels = {}) {
      const answer = await cluster.request('POST', '/api/v1/namespaces', { metadata: { name, labels } });
      assertStatus(answer, 201, name);
    },
    async pods(namespace, selector) {
      const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
      const { items } = (await cluster.request<{ items: readonly Pod[] }>('GET', path)).body;
      return items
        .filter(
          ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running',
        )
        .toSorted((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp));
    },
    exec: (namespace, pod, ...command) => kubectl('exec', '--namespace', namespace, pod, '--', ...command),
    async poke(namespace, selector) {
      pokes++;
      const annotation = `test/poke=${pokes}`;
      await kubectl(
        'annotate',
        'pods',
        '--selector',
        selector,
        '--namespace',
        namespace,
        '--overwrite',
        annotation,
      );
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

export const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;
