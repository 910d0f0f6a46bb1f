import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { assertStarting, isCertificateThere, startGuarded } from './guarded.ts';
import { createRequest, type Request, tryRequest } from './http.ts';
import { type Service, type StartOptions, until } from './service.ts';

/** The two servers with the API of Vault. */
export type Product = 'OpenBao' | 'Vault';

/** A server in development mode: in memory, unsealed, with a key/value version 2 engine at `secret/`. */
export interface VaultServer extends Service {
  readonly name: Product;
  readonly rootToken: string;
  /** The certificate authority to trust. Set only with `tls`. */
  readonly caFile?: string;
}

export interface VaultServerOptions extends StartOptions {
  /** Serves HTTPS with a certificate of the server's own authority. Always starts a new server. */
  tls?: boolean;
  /** The root token of a new server. By default, a random one. */
  rootToken?: string;
}

/** The variable with the root token of a new server. */
const ROOT_TOKEN = { OpenBao: 'BAO_DEV_ROOT_TOKEN_ID', Vault: 'VAULT_DEV_ROOT_TOKEN_ID' } as const;

/** The program `bao` or `vault`. Both have the same arguments. */
export interface VaultProgram {
  readonly product: Product;
  readonly path: string;
  /** A folder with login methods that the program itself does not contain. Each file has the name of its method. */
  readonly logins?: string;
}

export async function launchVaultServer(
  { product, path, logins }: VaultProgram,
  options: VaultServerOptions,
): Promise<VaultServer> {
  const { tls = false, rootToken = `root-${randomBytes(12).toString('hex')}` } = options;
  return startGuarded(product.toLowerCase(), async (guard) => {
    const address = `127.0.0.1:${await freePort()}`;
    const process = guard.start({
      name: product,
      command: path,
      args: [
        ...['server', '-dev', `-dev-listen-address=${address}`, '-dev-no-store-token', '-log-level=warn'],
        ...(logins === undefined ? [] : [`-dev-plugin-dir=${logins}`]),
        ...(tls ? ['-dev-tls', `-dev-tls-cert-dir=${guard.folder}`] : []),
      ],
      // The token is in the environment, because all users of the machine can read the arguments of a process.
      env: { HOME: guard.folder, [ROOT_TOKEN[product]]: rootToken },
    });
    const caFile = tls ? join(guard.folder, 'vault-ca.pem') : undefined;
    const url = `${tls ? 'https' : 'http'}://${address}`;
    if (caFile !== undefined)
      await until(`The certificate of ${product}`, 30_000, () => isCertificateThere(process, caFile));
    const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
    const send = createRequest({ address: url, ca, headers: { 'x-vault-token': rootToken } });
    await until(`The start of ${product}`, 30_000, async () => {
      await assertStarting(process);
      return (await isRoot(send)) && (logins === undefined || hasLogins(send, logins));
    });
    return {
      name: product,
      address: url,
      rootToken,
      ...(caFile === undefined ? {} : { caFile }),
    };
  });
}

/**
 * Returns whether the server accepts the token of this run. Only our server accepts this token, so the check fails for
 * another server on the port and for a server that is still starting.
 */
export async function isRoot(send: Request): Promise<boolean> {
  const answer = await tryRequest(send, 'GET', '/v1/auth/token/lookup-self');
  if (answer?.status !== 200) return false;
  const { data } = answer.body as { data?: { policies?: string[] } };
  return data?.policies?.includes('root') ?? false;
}

/** Whether the server has registered its additional login methods. */
async function hasLogins(send: Request, folder: string): Promise<boolean> {
  const names = await readdir(folder);
  const answers = await Promise.all(
    names.map((name) => tryRequest(send, 'GET', `/v1/sys/plugins/catalog/auth/${name}`)),
  );
  return answers.every((answer) => answer?.status === 200);
}
