import { readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Connection } from './http.ts';
import { ServiceError } from './service.ts';

interface Kubeconfig {
  'current-context'?: string;
  contexts?: { name: string; context: { cluster: string; user: string } }[];
  clusters?: { name: string; cluster: Record<string, string> }[];
  users?: { name: string; user: Record<string, string> }[];
}

export interface KubeconfigInput {
  address: string;
  ca: string;
  user: string;
  token: string;
  namespace: string;
  /** The name in the server's certificate, if it is not the name in `address`. */
  serverName?: string;
}

/** Writes a kubeconfig with one context. The credentials are embedded, so the file can be copied. */
export async function writeKubeconfig(
  path: string,
  { address, ca, user, token, namespace, serverName }: KubeconfigInput,
) {
  const authority = Buffer.from(ca).toString('base64');
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: {
          server: address,
          'certificate-authority-data': authority,
          ...(serverName === undefined ? {} : { 'tls-server-name': serverName }),
        },
      },
    ],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user, namespace } }],
    'current-context': 'test',
  };
  await writeFile(path, stringify(content), { mode: 0o600 });
}

/** The connection data of a kubeconfig's current context. */
export async function readKubeconfig(path: string): Promise<Connection & { ca: string }> {
  const config = parse(await readFile(path, 'utf8').catch(explainMissing(path))) as Kubeconfig;
  const context = config.contexts?.find(({ name }) => name === config['current-context'])?.context;
  const cluster = config.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = config.users?.find(({ name }) => name === context?.user)?.user;
  if (cluster?.server === undefined || user === undefined) {
    throw new ServiceError(
      `${path} has no usable current context. Choose one: kubectl config use-context NAME`,
    );
  }
  const inline = async (entry: Record<string, string>, key: string) => {
    const data = entry[`${key}-data`];
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const file = entry[key];
    return file === undefined ? undefined : readFile(resolve(dirname(path), file), 'utf8');
  };
  const ca = await inline(cluster, 'certificate-authority');
  if (ca === undefined) throw new ServiceError(`${path} names no certificate-authority; the tests need one.`);
  const connection = { address: cluster.server, ca };

  const token =
    user.token ?? (user.tokenFile && (await readFile(resolve(dirname(path), user.tokenFile), 'utf8')));
  if (token) return { ...connection, headers: { authorization: `Bearer ${token.trim()}` } };
  const cert = await inline(user, 'client-certificate');
  const key = await inline(user, 'client-key');
  if (cert !== undefined && key !== undefined) return { ...connection, clientCertificate: { cert, key } };
  throw new ServiceError(
    `${path} has neither a token nor a client certificate; the tests can use no other login.`,
  );
}

function explainMissing(path: string) {
  return (error: unknown): never => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    throw new ServiceError(`${path} does not exist. Check SECRETBRIDGE_TEST_KUBECONFIG.`);
  };
}
