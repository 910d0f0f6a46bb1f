import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { assertStarting, type Guard, type GuardedProcess, startGuarded } from '../guarded.ts';
import { createRequest } from '../http.ts';
import type { TestCluster } from '../inject.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import { assertStatus } from '../kubernetes-api.ts';
import { reportToStderr, type Service, ServiceError, type StartOptions, until } from '../service.ts';
import { connectToCluster } from './cluster-network.ts';
import { type Forward, forward } from './forward.ts';
import { installNode, type NodePrograms } from './node-install.ts';
import { bridgeSettings, containerdSettings, kubeletSettings } from './settings.ts';

const run = promisify(execFile);
const NAMESPACES = join(import.meta.dirname, 'namespaces.sh');
export const NODE_NAME = 'node-1';

/**
 * A real node of a test cluster: kubelet, containerd, runc, kube-proxy and CoreDNS, with a network of its own. Needs
 * root on Linux.
 */
export interface TestNode extends Service {
  readonly folder: string;
  /** The path of the node's cgroup in each hierarchy. */
  readonly cgroup: string;
  /** The number of the process that holds the namespaces. */
  readonly firstProcess: number;
  /** Loads images from a Docker or OCI archive. Pods use them with `imagePullPolicy: Never` or `IfNotPresent`. */
  importImages(archive: string): Promise<void>;
  /**
   * Makes a server on this machine's loopback address reachable for pods. Returns the URL for pods.
   *
   * @param url A URL with a host of this machine and a port
   */
  expose(url: string): Promise<string>;
  /** Runs a program in the namespaces of the node. Returns its output. */
  runInside(command: string, ...args: readonly string[]): Promise<string>;
  /** The output of one of the node's processes, for example `kubelet`. */
  output(process: string): Promise<string>;
}

export async function startNode(cluster: TestCluster, options: StartOptions = {}): Promise<TestNode> {
  return launchNode(cluster, await installNode(options.report ?? reportToStderr));
}

export async function launchNode(cluster: TestCluster, programs: NodePrograms): Promise<TestNode> {
  const forwards = new Map<string, Promise<Forward>>();
  const closeForwards = async () => {
    for (const each of forwards.values()) await (await each)[Symbol.asyncDispose]();
  };
  try {
    const node = await startGuarded('node', (guard) => launch({ cluster, programs, guard, forwards }));
    const { stopProcesses, ...rest } = node;
    const stop = async () => {
      await stopProcesses();
      await closeForwards();
      await node.stop();
    };
    return { ...rest, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await closeForwards();
    throw error;
  }
}

interface Launch {
  readonly cluster: TestCluster;
  readonly programs: NodePrograms;
  readonly guard: Guard;
  readonly forwards: Map<string, Promise<Forward>>;
}

async function launch({ cluster, programs, guard, forwards }: Launch) {
  const { folder } = guard;
  const network = freeNetwork();
  const { holder, init, cgroup } = await openNamespaces(guard, network);
  const enter = ['--target', init, '--mount', '--net', '--pid', '--uts', '--ipc', '--'];
  const startInside = (name: string, command: string, args: readonly string[]) =>
    guard.start({
      name,
      command: 'nsenter',
      args: [...enter, command, ...args],
      env: { PATH: process.env.PATH },
      ends: true,
    });
  const runInside = async (command: string, ...args: readonly string[]) =>
    (await run('nsenter', [...enter, command, ...args], { maxBuffer: 64 * 1024 * 1024 })).stdout;
  const expose = async (url: string): Promise<string> => {
    const { hostname, port } = new URL(url);
    const target = { host: hostname === 'localhost' ? '127.0.0.1' : hostname, port: Number(port) };
    const key = `${target.host}:${port}`;
    const forwarded = forwards.get(key) ?? forward(`${network}.1`, target);
    forwards.set(key, forwarded);
    await forwarded;
    return url.replace(`${hostname}:${port}`, `${network}.1:${port}`);
  };

  const containerd = await startContainerd({ folder, network, startInside, runInside });
  const importImages = async (archive: string) => {
    await runInside('ctr', '--namespace', 'k8s.io', 'images', 'import', archive);
  };
  await importImages(programs.busyboxImage);
  const kubeconfig = join(folder, 'node.kubeconfig');
  const apiServer = new URL(await expose(cluster.address));
  await writeKubeconfig(kubeconfig, {
    address: apiServer.href,
    ca: await readFile(cluster.caFile, 'utf8'),
    user: 'node',
    token: cluster.token,
    namespace: 'default',
    // The certificate does not contain the address of this network.
    serverName: 'kubernetes.default.svc',
  });
  await writeFile(join(folder, 'kubelet.yaml'), kubeletSettings({ folder, network, cgroup }));
  const kubelet = startInside('kubelet', programs.kubelet, [
    `--config=${join(folder, 'kubelet.yaml')}`,
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${network}.2`,
    `--root-dir=${join(folder, 'kubelet')}`,
    `--cert-dir=${join(folder, 'kubelet-certs')}`,
  ]);
  const services = await connectToCluster({
    cluster,
    programs,
    folder,
    kubeconfig,
    apiServer: { host: apiServer.hostname, port: Number(apiServer.port) },
    node: { name: NODE_NAME, address: `${network}.2` },
    startInside,
  });
  await untilReady(cluster, [containerd, kubelet, ...services]);
  return {
    name: 'Kubernetes node',
    address: `https://${network}.2:10250`,
    folder,
    cgroup,
    firstProcess: Number(init),
    importImages,
    expose,
    runInside,
    output: (name: string) => readFile(join(folder, `${name}.log`), 'utf8'),
    /** Ends all processes of the node. The guard alone would give a busy machine too little time for it. */
    async stopProcesses() {
      if (holder.end === undefined) process.kill(Number(init), 'SIGKILL');
      await holder.ended;
    },
  };
}

/** Returns the first three numbers of a network that this machine does not use. */
function freeNetwork(): string {
  const used = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (let tries = 0; tries < 100; tries++) {
    const network = `10.${randomInt(100, 250)}.${randomInt(0, 256)}`;
    if (!used.some(({ address }) => isIPv4(address) && address.startsWith(`${network}.`))) return network;
  }
  throw new ServiceError('All private networks from 10.100 to 10.249 are in use on this machine.');
}

async function openNamespaces(guard: Guard, network: string) {
  const file = (name: string) => join(guard.folder, name);
  const holder = guard.start({
    name: 'namespaces',
    command: 'sh',
    args: [NAMESPACES, guard.folder, network],
    env: { PATH: process.env.PATH },
    ends: true,
  });
  await until('The network of the node', 20_000, async () => {
    await assertStarting(holder);
    return existsSync(file('has-network')) && existsSync(file('init.pid'));
  });
  const read = async (name: string) => (await readFile(file(name), 'utf8')).trim();
  return { holder, init: await read('init.pid'), cgroup: await read('cgroup') };
}

interface ContainerdStart {
  readonly folder: string;
  readonly network: string;
  readonly startInside: (name: string, command: string, args: readonly string[]) => GuardedProcess;
  readonly runInside: (command: string, ...args: readonly string[]) => Promise<string>;
}

async function startContainerd({ folder, network, startInside, runInside }: ContainerdStart) {
  const settings = join(folder, 'containerd.toml');
  await writeFile(settings, containerdSettings(folder));
  await mkdir(join(folder, 'cni'));
  await writeFile(join(folder, 'cni', '10-pods.conflist'), bridgeSettings(network));
  const containerd = startInside('containerd', 'containerd', ['--config', settings]);
  await until('The start of containerd', 30_000, async () => {
    await assertStarting(containerd);
    return runInside('ctr', 'version').then(
      () => true,
      () => false,
    );
  });
  return containerd;
}

async function untilReady(cluster: TestCluster, processes: readonly GuardedProcess[]): Promise<void> {
  const { address, caFile, token } = cluster;
  const ca = await readFile(caFile, 'utf8');
  const send = createRequest({ address, ca, headers: { authorization: `Bearer ${token}` } });
  await until('The readiness of the node', 90_000, async () => {
    for (const process of processes) await assertStarting(process);
    const answer = await send<{ status: { conditions?: { type: string; status: string }[] } }>(
      'GET',
      `/api/v1/nodes/${NODE_NAME}`,
    );
    if (answer.status === 404) return false;
    assertStatus(answer, 200, `GET ${NODE_NAME}`);
    return (
      answer.body.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ===
      true
    );
  });
}
