import { z } from 'zod';
import type { Naming } from '../../core/mapping.ts';
import { Reference } from '../credentials.ts';
import { Tls } from '../tls.ts';

// They are no credentials, so they may stand in the file as they are; often they stand in the Secret beside one.
const Identifier = z.union([z.string().min(1), Reference]);
const tenantId = Identifier.meta({ description: 'The tenant (directory) id, or where it is found.' });
const clientId = Identifier.meta({ description: 'The client (application) id, or where it is found.' });

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
      .refine(isVault, { error: 'the https address of the vault alone, as https://contoso.vault.azure.net' })
      .meta({ description: 'Address of the vault.', examples: ['https://contoso.vault.azure.net'] }),
    auth: AzureAuth.prefault({ method: 'default' }).meta({ description: 'How to log in.' }),
    tls: Tls,
  })
  .meta({ title: 'Azure Key Vault' });
export type AzureConfig = z.output<typeof AzureConfig>;

export const azureNaming: Naming = { isFlat: true, unlisted: 'anyCase' };

/** Azure's clients send a token over TLS only, and make the paths themselves. */
function isVault(address: string): boolean {
  const url = URL.parse(address);
  if (url === null) return true; // refused as no address at all
  const { protocol, pathname, search, hash, username, password } = url;
  return protocol === 'https:' && pathname === '/' && `${search}${hash}${username}${password}` === '';
}
