import { z } from 'zod';
import { addressFields, connectionFields, hasOneAddress, ONE_ADDRESS_RULE } from '../aws/config.ts';

/**
 * The default throughput of an account and region, in requests per second. GetParameter, GetParameters and
 * GetParametersByPath share it. https://docs.aws.amazon.com/general/latest/gr/ssm.html
 */
export const DEFAULT_THROUGHPUT = 40;

export const ParameterStoreConfig = z
  .strictObject({ kind: z.literal('aws-parameter-store'), ...addressFields, ...connectionFields })
  .refine(hasOneAddress, ONE_ADDRESS_RULE)
  .meta({ title: 'AWS Systems Manager Parameter Store' });
export type ParameterStoreConfig = z.output<typeof ParameterStoreConfig>;
