import { isLoopback } from '../../core/loopback.ts';
import type { AwsConfig } from './config.ts';

/**
 * Options for every SDK client. Without them, the SDK reads `AWS_*` variables and the AWS CLI files in the home folder.
 */
export function clientOptions({ region, fips }: Pick<AwsConfig, 'region' | 'fips'>) {
  return {
    region,
    useFipsEndpoint: fips,
    useDualstackEndpoint: false,
    ignoreConfiguredEndpointUrls: true, // AWS_ENDPOINT_URL would redirect the requests of every store
    maxAttempts: 1, // `withRetry` and the limits do this for all stores
    retryMode: 'standard',
    defaultsMode: 'standard' as const,
    authSchemePreference: [],
    disableClockSkewCorrection: true, // a wrong clock must fail every call and be reported, not only the first call
    userAgentAppId: 'secretbridge',
  };
}

/** The domains of all partitions, from the endpoint rules of the SDK. */
const AWS_DOMAIN =
  /\.(amazonaws\.(com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(com\.cn|eu)|(ic|sgov)\.gov|adc-e\.uk|api\.aws\.scloud)$/;

/**
 * The STS endpoint. A custom endpoint outside the AWS domains (LocalStack, a gateway) is also used for STS. One inside
 * them, such as a VPC endpoint, serves Secrets Manager only.
 */
export function stsEndpoint({ endpoint }: Pick<AwsConfig, 'endpoint'>): string | undefined {
  if (endpoint === undefined || isLoopback(endpoint)) return endpoint;
  const host = URL.parse(endpoint)?.hostname ?? '';
  return AWS_DOMAIN.test(host) ? undefined : endpoint;
}
