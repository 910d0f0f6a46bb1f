import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composeServers } from './compose.ts';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, type Guard, isCertificateThere, startGuarded } from './guarded.ts';
import { createRequest, tryRequest } from './http.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { createKubernetesApi, type KubernetesApi } from './kubernetes-api.ts';
import { borrowKubernetes, borrowKubernetesIfThere } from './kubernetes-borrowed.ts';
import { installKubernetes, type Programs } from './kubernetes-install.ts';
import { type Lifetime, reportToStderr, type Service, type StartOptions, until } from './service.ts';

/** The private key that signs tokens of service accounts, in the folder of the cluster. */
export const SERVICE_ACCOUNT_KEY = 'sa.key';

/**
 * A real API server with a real etcd, without controllers and nodes. Therefore no pod runs, no garbage collection
 * happens, and a deleted namespace stays `Terminating`.
 */
export interface Kubernetes extends Service, Omit<KubernetesApi, 'request'> {
  readonly caFile: string;
  /** A bearer token with all rights. */
  readonly adminToken: string;
  /** A kubeconfig with that token. */
  readonly kubeconfig: string;
  /** A folder for files of tests. Stopping the cluster removes the folder. */
  readonly folder: string;
  /**
   * The path of a log with one JSON entry a line, for every access to Secrets and every change. Undefined for a
   * borrowed cluster.
   */
  readonly auditLogPath?: string;
}

export async function startKubernetes(options: StartOptions = {}): Promise<Kubernetes> {
  const borrowed = process.env.SECRETBRIDGE_TEST_KUBECONFIG;
  if (borrowed) return borrowKubernetes(borrowed);
  const composeCluster = await borrowKubernetesIfThere(composeServers().kubeconfig);
  if (composeCluster !== undefined) return composeCluster;
  const programs = await installKubernetes(options.report ?? reportToStderr);
  return retryOnPortClash(() => launch(programs));
}

function launch(programs: Programs): Promise<Kubernetes> {
  // This plugin would wait for a controller that creates a default ServiceAccount in each namespace.
  const flags = ['--disable-admission-plugins=ServiceAccount'];
  return startGuarded('kubernetes', (guard) => startControlPlane(programs, guard, flags));
}

/** Starts etcd and the API server, with the files of the cluster in the folder of the guard. */
export async function startControlPlane(
  programs: Programs,
  guard: Guard,
  /** More flags of the API server. */
  flags: readonly string[],
): Promise<Omit<Kubernetes, keyof Lifetime>> {
  const adminToken = randomBytes(24).toString('hex');
  const etcdAddress = await startEtcd(programs.etcd, guard);
  const { address, caFile, auditLogPath } = await startApiServer(programs.apiServer, guard, {
    etcdAddress,
    adminToken,
    flags,
  });
  const kubeconfig = join(guard.folder, 'admin.kubeconfig');
  const ca = await readFile(caFile, 'utf8');
  await writeKubeconfig(kubeconfig, {
    address,
    ca,
    user: 'admin',
    token: adminToken,
    namespace: 'default',
  });
  const access = { address, caFile, token: adminToken, folder: guard.folder };
  const { request: _, ...helpers } = createKubernetesApi(access);
  return {
    ...helpers,
    name: 'Kubernetes',
    address,
    caFile,
    adminToken,
    kubeconfig,
    auditLogPath,
    folder: guard.folder,
  };
}

async function startEtcd(program: string, guard: Guard): Promise<string> {
  const client = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const name = `secretbridge-${randomBytes(6).toString('hex')}`;
  const process = guard.start({
    name: 'etcd',
    command: program,
    args: [
      ...['--name', name, '--data-dir', join(guard.folder, 'etcd'), '--log-level', 'warn'],
      // etcd does not sync writes to disk, because a test may lose its data when the machine crashes.
      '--unsafe-no-fsync',
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...[
        '--listen-peer-urls',
        peer,
        '--initial-advertise-peer-urls',
        peer,
        '--initial-cluster',
        `${name}=${peer}`,
      ],
    ],
    env: {},
  });
  const send = createRequest({ address: client });
  await until('The start of etcd', 30_000, async () => {
    await assertStarting(process);
    // Checks the name of the etcd, because the etcd of another run could have taken the port.
    const answer = await tryRequest(send, 'POST', '/v3/cluster/member/list', {});
    const members = (answer?.body as { members?: { name?: string }[] } | undefined)?.members;
    return members?.[0]?.name === name;
  });
  return client;
}

interface ApiServerOptions {
  readonly etcdAddress: string;
  readonly adminToken: string;
  readonly flags: readonly string[];
}

async function startApiServer(
  program: string,
  guard: Guard,
  { etcdAddress, adminToken, flags }: ApiServerOptions,
) {
  const file = (name: string) => join(guard.folder, name);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(file(SERVICE_ACCOUNT_KEY), privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  await writeFile(file('tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
  await writeFile(file('audit-policy.yaml'), AUDIT_POLICY);

  const port = await freePort();
  const process = guard.start({
    name: 'kube-apiserver',
    command: program,
    args: [
      `--etcd-servers=${etcdAddress}`,
      // The server creates its own certificate in this folder.
      `--cert-dir=${file('certs')}`,
      `--secure-port=${port}`,
      '--bind-address=127.0.0.1',
      // An address that is reserved for documentation. Without an address, the server looks for a network interface,
      // and fails on machines without one.
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${file(SERVICE_ACCOUNT_KEY)}`,
      `--service-account-signing-key-file=${file(SERVICE_ACCOUNT_KEY)}`,
      '--authorization-mode=RBAC',
      `--token-auth-file=${file('tokens.csv')}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      `--audit-policy-file=${file('audit-policy.yaml')}`,
      `--audit-log-path=${file('audit.log')}`,
      ...flags,
    ],
    env: {},
  });
  const address = `https://127.0.0.1:${port}`;
  const caFile = file(join('certs', 'apiserver.crt'));
  await until('The certificate of kube-apiserver', 30_000, () => isCertificateThere(process, caFile));
  const ca = await readFile(caFile, 'utf8');
  const send = createRequest({ address, ca, headers: { authorization: `Bearer ${adminToken}` } });
  await until('The start of kube-apiserver', 60_000, async () => {
    await assertStarting(process);
    if ((await tryRequest(send, 'GET', '/readyz'))?.status !== 200) return false;
    // The server creates the namespace `default` a moment after the server becomes ready.
    return (await send('GET', '/api/v1/namespaces/default')).status === 200;
  });
  return { address, caFile, auditLogPath: file('audit.log') };
}

// A record of reads and writes that is independent of the code under test. Contains only metadata, because bodies would
// contain Secret values.
const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    users: [system:apiserver]
  - level: Metadata
    resources:
      - group: ''
        resources: [secrets]
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
`;
