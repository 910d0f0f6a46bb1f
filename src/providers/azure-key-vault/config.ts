import { z } from 'zod';
import { Reference } from '../credentials.ts';
import { Tls } from '../tls.ts';

// An ID is not a credential, so the configuration file may contain it. It may also be a reference, because many Secrets
// store it next to a credential.
const Identifier = z.union([z.string().min(1), Reference]);
const tenantId = Identifier.meta({ description: 'The tenant (directory) ID, or a reference to it.' });
const clientId = Identifier.meta({ description: 'The client (application) ID, or a reference to it.' });

const AzureAuth = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('default') }),
  z.strictObject({
    method: z.literal('workloadIdentity'),
    tenantId: tenantId.optional(),
    clientId: clientId.optional(),
    tokenFile: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The federated token. Default: AZURE_FEDERATED_TOKEN_FILE.' }),
  }),
  z.strictObject({ method: z.literal('managedIdentity'), clientId: clientId.optional() }),
  z.strictObject({
    method: z.literal('clientSecret'),
    tenantId,
    clientId,
    clientSecret: Reference.meta({ description: 'The client secret.' }),
  }),
  z.strictObject({
    method: z.literal('clientCertificate'),
    tenantId,
    clientId,
    certificate: Reference.meta({ description: 'The certificate with its private key, PEM.' }),
  }),
]);

export const AzureConfig = z
  .strictObject({
    kind: z.literal('azure-key-vault'),
    vaultUrl: z
      .url({ protocol: /^https?$/, error: 'an address such as https://contoso.vault.azure.net' })
      .refine(isVault, {
        error: 'the https URL of the vault without a path, such as https://contoso.vault.azure.net',
      })
      .meta({ description: 'Address of the vault.', examples: ['https://contoso.vault.azure.net'] }),
    auth: AzureAuth.prefault({ method: 'default' }).meta({ description: 'How to log in.' }),
    authorityHost: z
      .url({ protocol: /^https$/, error: 'an address such as https://login.example.com' })
      .optional()
      .meta({
        description:
          'Address of the login service, for a cloud of your own. Default: that of the cloud of the vault, or AZURE_AUTHORITY_HOST.',
        examples: ['https://login.local.azurestack.external'],
      }),
    tls: Tls,
  })
  .meta({ title: 'Azure Key Vault' });
export type AzureConfig = z.output<typeof AzureConfig>;

/**
 * Whether an address is a vault. It must use TLS, because the Azure clients send a token only over TLS. It must have no
 * path, because the clients add their own.
 */
function isVault(address: string): boolean {
  const url = URL.parse(address);
  if (url === null) return true; // accepted here, because it was already rejected as an invalid URL
  const { protocol, pathname, search, hash, username, password } = url;
  return protocol === 'https:' && pathname === '/' && `${search}${hash}${username}${password}` === '';
}
