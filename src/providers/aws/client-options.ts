import { isLoopback } from '../../core/loopback.ts';
import type { AwsConnection } from './config.ts';

/**
 * Options for every SDK client. Without them, the SDK would read `AWS_*` variables and the AWS CLI files in the home
 * folder.
 */
export function clientOptions({ region, fips }: Pick<AwsConnection, 'region' | 'fips'>) {
  return {
    region,
    useFipsEndpoint: fips,
    useDualstackEndpoint: false,
    ignoreConfiguredEndpointUrls: true, // AWS_ENDPOINT_URL would redirect the requests of all stores
    maxAttempts: 1, // `withRetry` retries the calls of all stores
    retryMode: 'standard',
    defaultsMode: 'standard' as const,
    authSchemePreference: [],
    disableClockSkewCorrection: true, // a wrong clock must make every call fail, so that an operator notices it
    userAgentAppId: 'secretbridge',
  };
}

/** The domains of all AWS partitions. The list comes from the endpoint rules of the SDK. */
const AWS_DOMAIN =
  /\.(amazonaws\.(com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(com\.cn|eu)|(ic|sgov)\.gov|adc-e\.uk|api\.aws\.scloud)$/;

/**
 * Returns the STS endpoint. A custom endpoint outside the AWS domains, such as LocalStack or a gateway, also serves
 * STS. A custom endpoint inside the AWS domains, such as a VPC endpoint, serves only the store. For an endpoint
 * inside the AWS domains, the SDK's default endpoint for STS is used.
 */
export function stsEndpoint({ endpoint }: Pick<AwsConnection, 'endpoint'>): string | undefined {
  if (endpoint === undefined || isLoopback(endpoint)) return endpoint;
  const host = URL.parse(endpoint)?.hostname ?? '';
  return AWS_DOMAIN.test(host) ? undefined : endpoint;
}
