import { join } from 'node:path';
import { retryOnPortClash } from './free-port.ts';
import { installGoProgram } from './go-program.ts';
import { reportToStderr } from './service.ts';
import {
  launchVaultServer,
  type VaultProgram,
  type VaultServer,
  type VaultServerOptions,
} from './vault-launch.ts';

const VAULT = 'github.com/hashicorp/vault';
const KUBERNETES = 'github.com/hashicorp/vault-plugin-auth-kubernetes';

/**
 * Builds HashiCorp Vault on first use. Only tests use it, and no release contains it, because the Business Source License
 * restricts its use.
 */
export async function installVault(report: (line: string) => void): Promise<VaultProgram> {
  const folder = await installGoProgram(
    {
      module: 'vault',
      versionOf: VAULT,
      title: 'HashiCorp Vault',
      seconds: 600,
      programs: {
        vault: VAULT,
        'logins/ldap': `${VAULT}/builtin/credential/ldap/cmd/ldap`,
        'logins/kubernetes': `${KUBERNETES}/cmd/vault-plugin-auth-kubernetes`,
      },
      // Leaves out everything that the tests do not need. Without this tag, the build takes more than twice as long.
      tags: ['minimal'],
    },
    report,
  );
  return { product: 'Vault', path: join(folder, 'vault'), logins: join(folder, 'logins') };
}

export async function startVault(options: VaultServerOptions = {}): Promise<VaultServer> {
  const program = await installVault(options.report ?? reportToStderr);
  return retryOnPortClash(() => launchVaultServer(program, options));
}
