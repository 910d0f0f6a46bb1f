import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../services/free-port.ts';
import { assertStarting, isCertificateThere, openTemporaryGuard } from '../services/guarded.ts';
import { createRequest, tryRequest } from '../services/http.ts';
import { writeKubeconfig } from '../services/kubeconfig.ts';
import { installKubernetes } from '../services/kubernetes-install.ts';
import { reportToStderr, until } from '../services/service.ts';

/** An etcd on which API servers start one after another, to simulate restarts with other flags. */
export interface Etcd extends AsyncDisposable {
  /** The raw bytes under `/registry/secrets/<namespace>/<name>`. */
  storedBytes(namespace: string, name: string): Promise<Buffer>;
  /** Starts another API server on this etcd. @returns the kubeconfig of the administrator */
  startApiServer(flags: readonly string[]): Promise<string>;
}

export async function startEtcd(): Promise<Etcd> {
  const programs = await installKubernetes(reportToStderr);
  await using stack = new AsyncDisposableStack();
  const guard = await openTemporaryGuard('encrypted');
  stack.defer(guard.close);
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const etcd = guard.start({
    name: 'etcd',
    command: programs.etcd,
    args: [
      ...[
        '--name',
        'one',
        '--data-dir',
        join(guard.folder, 'etcd'),
        '--log-level',
        'warn',
        '--unsafe-no-fsync',
      ],
      ...['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer],
      ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `one=${peer}`],
    ],
    env: {},
  });
  const sendToEtcd = createRequest({ address: client });
  await until('The start of etcd', 30_000, async () => {
    await assertStarting(etcd);
    return (await tryRequest(sendToEtcd, 'POST', '/v3/cluster/member/list', {}))?.status === 200;
  });
  const file = (name: string) => join(guard.folder, name);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(file('sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const token = randomBytes(24).toString('hex');
  await writeFile(file('tokens.csv'), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  let count = 0;
  const owned = stack.move();
  return {
    async storedBytes(namespace, name) {
      const key = Buffer.from(`/registry/secrets/${namespace}/${name}`).toString('base64');
      const answer = await sendToEtcd<{ kvs?: readonly { value: string }[] }>('POST', '/v3/kv/range', {
        key,
      });
      return Buffer.from(answer.body.kvs?.[0]?.value ?? '', 'base64');
    },
    async startApiServer(flags) {
      const [name, port] = [`kube-apiserver-${++count}`, await freePort()];
      const server = guard.start({
        name,
        command: programs.apiServer,
        args: [
          ...[`--etcd-servers=${client}`, `--cert-dir=${file(name)}`, `--secure-port=${port}`],
          ...['--bind-address=127.0.0.1', '--advertise-address=192.0.2.1', '--endpoint-reconciler-type=none'],
          '--service-account-issuer=https://kubernetes.default.svc',
          `--service-account-key-file=${file('sa.key')}`,
          `--service-account-signing-key-file=${file('sa.key')}`,
          ...['--authorization-mode=RBAC', `--token-auth-file=${file('tokens.csv')}`],
          ...['--service-cluster-ip-range=10.0.0.0/24', '--disable-admission-plugins=ServiceAccount'],
          ...flags,
        ],
        env: {},
      });
      const address = `https://127.0.0.1:${port}`;
      const caFile = join(file(name), 'apiserver.crt');
      await until('The certificate of kube-apiserver', 30_000, () => isCertificateThere(server, caFile));
      const ca = await readFile(caFile, 'utf8');
      const send = createRequest({ address, ca, headers: { authorization: `Bearer ${token}` } });
      await until('The start of kube-apiserver', 60_000, async () => {
        await assertStarting(server);
        if ((await tryRequest(send, 'GET', '/readyz'))?.status !== 200) return false;
        return (await send('GET', '/api/v1/namespaces/default')).status === 200;
      });
      const kubeconfig = file(`${name}.kubeconfig`);
      await writeKubeconfig(kubeconfig, { address, ca, user: 'admin', token, namespace: 'default' });
      return kubeconfig;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
