import { z } from 'zod';
import { isLoopback } from '../../core/loopback.ts';
import { Reference } from '../credentials.ts';
import { isPlainAddress, NOT_PLAIN } from '../plain-address.ts';
import { AllowHttp } from '../tls.ts';

// An identifier such as a role id or a user name is no credential, so it may stand in the file as it is.
const Identifier = z.union([z.string().min(1), Reference]);
/** Where the login method is. */
const place = {
  mountPath: pathOf(
    'Where the login method is mounted, without `auth/`. Default: its usual name.',
  ).optional(),
  namespace: namespaceOf(
    'Namespace to log in to, where it is another one than that of the secrets, such as one above it; `root` for the root.',
  ).optional(),
};

export const VaultAuth = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('token'),
    token: Reference.meta({
      description: 'The token itself; it is renewed, but cannot be replaced when it ends.',
    }),
    ...place,
  }),
  z.strictObject({
    method: z.literal('appRole'),
    roleId: Identifier.meta({ description: 'The role id, or where it is found.' }),
    secretId: Reference.meta({ description: 'The secret id.' }),
    secretIdWrapped: z.boolean().default(false).meta({
      description: 'The secret id is a response-wrapping token: unwrapped once, at the first login.',
    }),
    ...place,
  }),
  z.strictObject({
    method: z.literal('userpass'),
    username: Identifier.meta({ description: 'The user name, or where it is found.' }),
    password: Reference.meta({ description: 'The password.' }),
    ...place,
  }),
  z.strictObject({
    method: z.literal('ldap'),
    username: Identifier.meta({ description: 'The user name, or where it is found.' }),
    password: Reference.meta({ description: 'The password.' }),
    ...place,
  }),
  z.strictObject({
    method: z.literal('jwt'),
    role: z.string().min(1).meta({ description: 'The role to log in as.' }),
    jwt: Reference.meta({ description: 'The JSON Web Token, read afresh at each login.' }),
    ...place,
  }),
  z.strictObject({
    method: z.literal('kubernetes'),
    role: z.string().min(1).meta({ description: 'The role to log in as.' }),
    tokenFile: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The service account token. Default: the one that Kubernetes mounts.' }),
    ...place,
  }),
  z.strictObject({
    method: z.literal('cert'),
    certFile: z.string().min(1).meta({ description: 'The client certificate to log in with, PEM.' }),
    keyFile: z.string().min(1).meta({ description: 'Its private key, PEM.' }),
    role: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The certificate role; any that matches when left out.' }),
    ...place,
  }),
]);
export type VaultAuth = z.output<typeof VaultAuth>;

export const VaultConfig = z
  .strictObject({
    kind: z.literal('vault'),
    address: z
      .url({ protocol: /^https?$/, error: 'an address such as https://vault.internal:8200' })
      .refine(isPlainAddress, { error: NOT_PLAIN })
      .refine((address) => !/[^/]\/v1\/*$/.test(address), {
        error: 'the address without `/v1`: each request adds it',
      })
      .meta({
        description:
          'Base address of the server. Plain http for loopback only, or with `allowHttp: true`: the token travels in a header.',
        examples: ['https://vault.internal:8200'],
      }),
    namespace: namespaceOf('Namespace of Vault Enterprise or OpenBao.').optional(),
    mount: pathOf('Mount path of the key/value engine.').default('secret'),
    kvVersion: z
      .union([z.literal(1), z.literal(2)])
      .default(2)
      .meta({ description: 'Version of the key/value engine at `mount`.' }),
    auth: VaultAuth.meta({ description: 'How to log in.' }),
    tls: z
      .strictObject({
        caFile: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'Certificate authorities to trust instead of the usual ones, PEM.' }),
        serverName: z.string().min(1).optional().meta({
          description:
            'The name that the certificate of the server must carry, where that is not the host of `address`.',
        }),
        certFile: z.string().min(1).optional().meta({ description: 'Client certificate, PEM.' }),
        keyFile: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'Private key of the client certificate, PEM.' }),
      })
      .refine((tls) => (tls.certFile === undefined) === (tls.keyFile === undefined), {
        error: '`certFile` and `keyFile` together, or neither',
      })
      .optional()
      .meta({ description: 'How to trust the server. `NODE_EXTRA_CA_CERTS` is trusted as well.' }),
    allowHttp: AllowHttp,
  })
  .refine(({ address, allowHttp }) => allowHttp || !address.startsWith('http:') || isLoopback(address), {
    path: ['address'],
    error: 'https; http is for loopback only, or with `allowHttp: true`',
  })
  .refine(({ auth, address }) => auth.method !== 'cert' || address.startsWith('https:'), {
    path: ['address'],
    error: 'https: the login by certificate is made with the TLS connection',
  })
  .refine(({ auth, tls }) => auth.method !== 'cert' || tls?.certFile === undefined, {
    path: ['tls', 'certFile'],
    error: 'no client certificate beside the one of `auth`: a connection carries one',
  })
  .meta({ title: 'HashiCorp Vault and OpenBao' });
export type VaultConfig = z.output<typeof VaultConfig>;

function namespaceOf(description: string) {
  return pathOf(description).regex(/^[\x21-\x7e]*$/, { error: 'printable ASCII: it travels in a header' });
}

/** One or more segments joined by `/`. Dot segments would climb out of the path that they are put into. */
function pathOf(description: string) {
  return z
    .string()
    .regex(/^[^/?#\s]+(\/[^/?#\s]+)*$/, {
      error: 'a path such as `a/b`: no spaces, no `?` and `#`, no `/` at its ends',
    })
    .refine((path) => !path.split('/').some((segment) => segment === '.' || segment === '..'), {
      error: 'a path without `.` and `..` segments',
    })
    .meta({ description });
}
