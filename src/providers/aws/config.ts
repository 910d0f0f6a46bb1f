import { z } from 'zod';
import { Reference } from '../credentials.ts';
import { AllowHttp, isPlainAddress, PLAIN_ADDRESS_RULE, Tls } from '../tls.ts';

const roleArn = z.string().regex(/^arn:[^:]+:iam::\d{12}:role\/.+$/, {
  error: 'the ARN of a role, such as arn:aws:iam::123456789012:role/bridge',
});

const assumeRole = z
  .array(
    z.strictObject({
      roleArn: roleArn.meta({ description: 'The role to assume.' }),
      externalId: z.string().min(2).optional().meta({ description: 'External ID that the role requires.' }),
      sessionName: z
        .string()
        .regex(/^[\w+=,.@-]{2,64}$/)
        .optional()
        .meta({
          description: 'Name of the session in CloudTrail. Default: `secretbridge-<store>`.',
        }),
      tags: z.record(z.string(), z.string()).optional().meta({ description: 'Session tags.' }),
    }),
  )
  .optional()
  .meta({ description: 'Roles to assume after the login, one after the other.' });

const AwsAuth = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('default'), assumeRole }),
  z.strictObject({
    method: z.literal('static'),
    accessKeyId: Reference.meta({ description: 'The access key ID.' }),
    secretAccessKey: Reference.meta({ description: 'The secret access key.' }),
    sessionToken: Reference.optional().meta({ description: 'The session token of temporary credentials.' }),
    assumeRole,
  }),
  z.strictObject({
    method: z.literal('webIdentity'),
    roleArn: roleArn.meta({ description: 'The role to assume with the token.' }),
    tokenFile: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The web identity token. Default: AWS_WEB_IDENTITY_TOKEN_FILE.' }),
    assumeRole,
  }),
]);

/** The fields that say where an AWS store is, and how to log in. */
export const addressFields = {
  region: z
    .string()
    .regex(/^[a-z]{2,}(-[a-z]+)+-\d+$/, { error: 'a region such as eu-west-1' })
    .meta({ description: 'The region.', examples: ['eu-west-1'] }),
  endpoint: z
    .url({ protocol: /^https?$/, error: 'an address such as https://host:port' })
    .refine(isPlainAddress, { error: PLAIN_ADDRESS_RULE })
    .optional()
    .meta({
      description:
        'Custom endpoint of the service, for example a VPC endpoint. An endpoint outside the AWS domains is also used to log in (STS).',
    }),
  fips: z.boolean().default(false).meta({
    description: 'Use the FIPS 140 endpoints of the region, also to log in. Not with `endpoint`.',
  }),
  auth: AwsAuth.prefault({ method: 'default' }).meta({ description: 'How to log in.' }),
};

/** The fields of the connection to an AWS store. */
export const connectionFields = { tls: Tls, allowHttp: AllowHttp };

const AwsConnection = z.strictObject({ ...addressFields, ...connectionFields });
/** The fields that all AWS stores share. */
export type AwsConnection = z.output<typeof AwsConnection>;

/** An endpoint can be a FIPS endpoint itself, so `fips` does not go together with `endpoint`. */
export function hasOneAddress({ endpoint, fips }: Pick<AwsConnection, 'endpoint' | 'fips'>): boolean {
  return endpoint === undefined || !fips;
}

export const ONE_ADDRESS_RULE = {
  path: ['fips'],
  error: 'set `fips` or `endpoint`, not both: the `endpoint` can be a FIPS endpoint itself',
};

/**
 * Returns the account of the role that is assumed last. Returns undefined if only the credentials determine the
 * account.
 */
export function accountOf(auth: AwsConnection['auth']): string | undefined {
  const roleArn =
    auth.assumeRole?.at(-1)?.roleArn ?? (auth.method === 'webIdentity' ? auth.roleArn : undefined);
  return roleArn?.split(':')[4];
}
