import { z } from 'zod';
import { addressFields, connectionFields, hasOneAddress, ONE_ADDRESS_RULE } from '../aws/config.ts';

export const AwsConfig = z
  .strictObject({
    kind: z.literal('aws-secrets-manager'),
    ...addressFields,
    freshness: z.enum(['listed', 'strict']).default('listed').meta({
      description:
        '`listed` trusts the list of secrets, which may be five minutes late; `strict` requests each secret.',
    }),
    expiryTag: z.string().min(1).max(128).default('expires-at').meta({
      description: 'The tag that says when a secret expires, as a date or an RFC 3339 time.',
    }),
    readTags: z.boolean().default(false).meta({
      description:
        'Request the tags with each value, for `expiryTag`. Each value costs a further call. Needed only with `freshness: strict`, or if the identity may not list: a list contains the tags.',
    }),
    ...connectionFields,
  })
  .refine(hasOneAddress, ONE_ADDRESS_RULE)
  .meta({ title: 'AWS Secrets Manager' });
export type AwsConfig = z.output<typeof AwsConfig>;
