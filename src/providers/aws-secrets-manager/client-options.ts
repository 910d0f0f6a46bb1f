import { isLoopback } from '../../core/loopback.ts';
import type { AwsConfig } from './config.ts';

/**
 * What every client of the SDK is given, so that it looks for nothing by itself: left out, these come from `AWS_*`
 * variables and from the files of the AWS CLI in the home folder.
 */
export function clientOptions({ region, fips }: Pick<AwsConfig, 'region' | 'fips'>) {
  return {
    region,
    useFipsEndpoint: fips,
    useDualstackEndpoint: false,
    ignoreConfiguredEndpointUrls: true, // AWS_ENDPOINT_URL would send the requests of every store elsewhere
    maxAttempts: 1, // `withRetry` and the limits do it for all stores alike
    retryMode: 'standard',
    defaultsMode: 'standard' as const,
    authSchemePreference: [],
    disableClockSkewCorrection: true, // a wrong clock fails every call and is reported, instead of the first one only
    userAgentAppId: 'secretbridge',
  };
}

/** The domains of all partitions, as the SDK's endpoint rules name them. */
const AMAZON =
  /\.(amazonaws\.(com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(com\.cn|eu)|(ic|sgov)\.gov|adc-e\.uk|api\.aws\.scloud)$/;

/**
 * Where STS is. An endpoint outside of Amazon's domains (LocalStack, a gateway) is taken to serve it as well; one
 * inside, such as a VPC endpoint, is of Secrets Manager alone.
 */
export function stsEndpoint({ endpoint }: Pick<AwsConfig, 'endpoint'>): string | undefined {
  if (endpoint === undefined || isLoopback(endpoint)) return endpoint;
  const host = URL.parse(endpoint)?.hostname ?? '';
  return AMAZON.test(host) ? undefined : endpoint;
}
