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
    ...connectionFields,
  })
  .refine(hasOneAddress, ONE_ADDRESS_RULE)
  .meta({ title: 'AWS Secrets Manager' });
export type AwsConfig = z.output<typeof AwsConfig>;
