import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { installFromLayer } from '../services/kubectl-layer.ts';
import { isReady, type Pod, type PodCluster } from './pod-cluster.ts';

const CHART = join(import.meta.dirname, '../../../deploy/chart');

/** The image of the tests, as `importImages` loads it. */
export const IMAGE = { repository: 'secretbridge', tag: 'test', pullPolicy: 'Never' };
const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted' };

/** A release of the chart in its own namespace, with the Pod Security level `restricted`. */
export interface Release {
  readonly namespace: string;
  /** The name of the Deployment and of the service account. */
  readonly fullname: string;
  readonly selector: string;
  /** Installs or upgrades the release, and waits until its pods are ready. Returns the output of Helm. */
  upgrade(values: object): Promise<string>;
  test(): Promise<string>;
  /** The ready pods. */
  ready(): Promise<readonly Pod[]>;
  /** Runs the command `secretbridge` in a pod of the Deployment. Returns its output. */
  secretbridge(...args: readonly string[]): Promise<string>;
}

/**
 * @param name The name of the release. It must differ from all others in the cluster, because the chart derives names of
 *   Roles in the namespaces of targets from it.
 */
export async function openRelease(pods: PodCluster, namespace: string, name = namespace): Promise<Release> {
  await pods.createNamespace(namespace, RESTRICTED);
  const { kubeconfig } = pods.cluster;
  const connection = ['--namespace', namespace, '--kubeconfig', kubeconfig];
  const helm = async (...args: readonly string[]) =>
    (await promisify(execFile)(await installFromLayer('helm'), [...args, ...connection])).stdout;
  const fullname = `${name}-secretbridge`;
  const selector = 'app.kubernetes.io/component=bridge';
  return {
    namespace,
    fullname,
    selector,
    async upgrade(values) {
      const path = join(pods.node.folder, `${namespace}.yaml`);
      await writeFile(path, stringify({ image: IMAGE, ...values }));
      const wait = ['--wait', '--timeout', '240s'];
      return helm('upgrade', '--install', name, CHART, '--values', path, ...wait);
    },
    test: () => helm('test', name, '--logs', '--timeout', '120s'),
    ready: async () => (await pods.pods(namespace, selector)).filter(isReady),
    async secretbridge(...args) {
      const target = ['--namespace', namespace, `deployment/${fullname}`];
      try {
        return await pods.kubectl('exec', ...target, '--', 'secretbridge', ...args);
      } catch (error) {
        // The exit code 2 of `audit verify` is not a failure: the last checkpoint may not cover the newest records.
        if (error instanceof Error && 'stdout' in error && 'code' in error && error.code === 2)
          return String(error.stdout);
        throw error;
      }
    },
  };
}

/**
 * Creates a volume on the disk of the node for the claim of a release. The kubelet gives it to the group of the pod, as
 * with the volumes of a cloud.
 */
export async function createVolume(pods: PodCluster, release: Release, node: string): Promise<void> {
  const path = join(pods.node.folder, `volume-${release.namespace}`);
  await pods.node.runInside('mkdir', '--parents', path);
  await pods.apply(release.namespace, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: release.namespace },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      claimRef: { namespace: release.namespace, name: `${release.fullname}-state` },
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
          ],
        },
      },
    },
  });
}

/** Returns the value of a key of a Secret, or undefined if there is no such Secret. */
export async function secretValue(
  pods: PodCluster,
  namespace: string,
  name: string,
  key: string,
): Promise<string | undefined> {
  const { status, body } = await pods.cluster.request<{ data?: Record<string, string> }>(
    'GET',
    `/api/v1/namespaces/${namespace}/secrets/${name}`,
  );
  const data = status === 200 ? body.data?.[key] : undefined;
  return data === undefined ? undefined : Buffer.from(data, 'base64').toString();
}
