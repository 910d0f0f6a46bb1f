import { z } from 'zod';
import { isLoopback } from '../../core/loopback.ts';
import { Reference } from '../credentials.ts';
import { AllowHttp, isPlainAddress, PLAIN_ADDRESS_RULE } from '../tls.ts';

// An identifier such as a role ID or a user name. It is not a credential, so the configuration file may contain it.
const Identifier = z.union([z.string().min(1), Reference]);
/** The mount path of the login method, and the namespace of the login. */
const loginLocation = {
  mountPath: pathOf(
    'Mount path of the login method, without `auth/`. Default: the usual name of the method.',
  ).optional(),
  namespace: namespaceOf(
    'Namespace to log in to, if it differs from that of the secrets, for example a parent namespace. `root` for the root namespace.',
  ).optional(),
};

export const VaultAuth = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('token'),
    token: Reference.meta({
      description: 'The token. It is renewed, but cannot be replaced when it expires.',
    }),
    ...loginLocation,
  }),
  z.strictObject({
    method: z.literal('appRole'),
    roleId: Identifier.meta({ description: 'The role ID, or a reference to it.' }),
    secretId: Reference.meta({ description: 'The secret ID.' }),
    secretIdWrapped: z.boolean().default(false).meta({
      description: 'The secret ID is a response-wrapping token, which is unwrapped once at the first login.',
    }),
    ...loginLocation,
  }),
  z.strictObject({
    method: z.literal('userpass'),
    username: Identifier.meta({ description: 'The user name, or a reference to it.' }),
    password: Reference.meta({ description: 'The password.' }),
    ...loginLocation,
  }),
  z.strictObject({
    method: z.literal('ldap'),
    username: Identifier.meta({ description: 'The user name, or a reference to it.' }),
    password: Reference.meta({ description: 'The password.' }),
    ...loginLocation,
  }),
  z.strictObject({
    method: z.literal('jwt'),
    role: z.string().min(1).meta({ description: 'The role to log in as.' }),
    jwt: Reference.meta({ description: 'The JSON Web Token, read on each login.' }),
    ...loginLocation,
  }),
  z.strictObject({
    method: z.literal('kubernetes'),
    role: z.string().min(1).meta({ description: 'The role to log in as.' }),
    tokenFile: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The service account token. Default: the token that Kubernetes mounts.' }),
    ...loginLocation,
  }),
  z.strictObject({
    method: z.literal('cert'),
    certFile: z.string().min(1).meta({ description: 'The client certificate to log in with, PEM.' }),
    keyFile: z.string().min(1).meta({ description: 'Private key of the certificate, PEM.' }),
    role: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The certificate role. Default: any role that matches.' }),
    ...loginLocation,
  }),
]);
export type VaultAuth = z.output<typeof VaultAuth>;

export const VaultConfig = z
  .strictObject({
    kind: z.literal('vault'),
    address: z
      .url({ protocol: /^https?$/, error: 'an address such as https://vault.internal:8200' })
      .refine(isPlainAddress, { error: PLAIN_ADDRESS_RULE })
      .refine((address) => !/[^/]\/v1\/*$/.test(address), {
        error: 'the address without `/v1`, which each request adds',
      })
      .meta({
        description:
          'Base address of the server. Plain http is allowed for loopback, or with `allowHttp: true`, because the token is sent in a header.',
        examples: ['https://vault.internal:8200'],
      }),
    namespace: namespaceOf('Namespace of Vault Enterprise or OpenBao.').optional(),
    mount: pathOf('Mount path of the key/value engine.').default('secret'),
    kvVersion: z
      .union([z.literal(1), z.literal(2)])
      .default(2)
      .meta({ description: 'Version of the key/value engine at `mount`.' }),
    auth: VaultAuth.meta({ description: 'How to log in.' }),
    expiryKey: z.string().min(1).default('expires-at').meta({
      description:
        'The key of the custom metadata that says when a secret expires, as a date or an RFC 3339 time. Only with `kvVersion: 2`.',
    }),
    tls: z
      .strictObject({
        caFile: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'Certificate authorities to trust instead of the default authorities, PEM.' }),
        serverName: z.string().min(1).optional().meta({
          description: 'The name in the server certificate, if it differs from the host of `address`.',
        }),
        certFile: z.string().min(1).optional().meta({ description: 'Client certificate, PEM.' }),
        keyFile: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'Private key of the client certificate, PEM.' }),
      })
      .refine((tls) => (tls.certFile === undefined) === (tls.keyFile === undefined), {
        error: 'set both `certFile` and `keyFile`, or neither',
      })
      .optional()
      .meta({ description: 'How to trust the server. `NODE_EXTRA_CA_CERTS` is also trusted.' }),
    allowHttp: AllowHttp,
  })
  .refine(({ address, allowHttp }) => allowHttp || !address.startsWith('http:') || isLoopback(address), {
    path: ['address'],
    error: 'https; http is allowed on loopback only, or with `allowHttp: true`',
  })
  .refine(({ auth, address }) => auth.method !== 'cert' || address.startsWith('https:'), {
    path: ['address'],
    error: 'use https: a certificate login requires TLS',
  })
  .refine(({ auth, tls }) => auth.method !== 'cert' || tls?.certFile === undefined, {
    path: ['tls', 'certFile'],
    error: 'remove this client certificate: `auth` already has one, and a connection can use only one',
  })
  .meta({ title: 'HashiCorp Vault and OpenBao' });
export type VaultConfig = z.output<typeof VaultConfig>;

function namespaceOf(description: string) {
  return pathOf(description).regex(/^[\x21-\x7e]*$/, {
    error: 'printable ASCII, because it is sent in a header',
  });
}

/**
 * A path of one or more segments, joined by `/`. The segments `.` and `..` are rejected, because `..` would leave the
 * path to which this one is appended.
 */
function pathOf(description: string) {
  return z
    .string()
    .regex(/^[^/?#\s]+(\/[^/?#\s]+)*$/, {
      error: 'a path such as `a/b`: no spaces, no `?` and `#`, no `/` at its ends',
    })
    .refine((path) => !path.split('/').some((segment) => segment === '.' || segment === '..'), {
      error: 'a path without `.` or `..` segments',
    })
    .meta({ description });
}
