import { AppError } from '../../core/errors.ts';
import type { Identity } from './lease.ts';

/** Without a logger, the credential providers of the SDK print warnings to the console. */
const SILENT_LOGGER = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const NO_CREDENTIALS =
  'no AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, no AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE, ' +
  'no container credentials, and no instance role';

/**
 * Logs in with the role of the container (EKS Pod Identity, ECS) or the instance (EC2). The credentials are fetched on
 * each login, because AWS rotates them.
 * @param variable Reads an environment variable. Undefined if it is unset or empty.
 */
export function createMachineLogin(
  variable: (name: string) => Promise<string | undefined>,
): () => Promise<Identity> {
  let hasWorked = false;
  return async () => {
    const [relative, full, profile, isDisabled] = await Promise.all(
      [
        'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
        'AWS_CONTAINER_CREDENTIALS_FULL_URI',
        'AWS_PROFILE',
        'AWS_EC2_METADATA_DISABLED',
      ].map(variable),
    );
    const isContainer = relative !== undefined || full !== undefined;
    const hint =
      profile === undefined ? '' : '; AWS_PROFILE is not supported: export its credentials instead';
    if (!isContainer && isDisabled === 'true') throw missing(hint);
    try {
      const identity = isContainer ? await fromContainer(relative, full, variable) : await fromInstance();
      hasWorked = true;
      return identity;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error instanceof AppError) throw error;
      // The SDK's errors quote URLs and responses, so only the name of the error is kept.
      const cause = new Error(error.name);
      if (isContainer || hasWorked) {
        const whose = isContainer ? 'container' : 'instance';
        const detail = `the credentials endpoint of the ${whose} returned no credentials`;
        throw new AppError('STORE_UNAVAILABLE', { detail, cause });
      }
      throw missing(hint, cause);
    }
  };
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
async function fromContainer(
  relative: string | undefined,
  full: string | undefined,
  variable: (name: string) => Promise<string | undefined>,
): Promise<Identity> {
  const [token, tokenFile] = await Promise.all(
    ['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'].map(variable),
  );
  const { fromHttp } = await import('@aws-sdk/credential-providers');
  return fromHttp({
    logger: SILENT_LOGGER,
    timeout: 2_000,
    maxRetries: 0, // `withRetry` retries the calls of all stores
    ...(relative === undefined ? {} : { awsContainerCredentialsRelativeUri: relative }),
    ...(full === undefined || relative !== undefined ? {} : { awsContainerCredentialsFullUri: full }),
    ...(tokenFile === undefined ? {} : { awsContainerAuthorizationTokenFile: tokenFile }),
    ...(token === undefined || tokenFile !== undefined ? {} : { awsContainerAuthorizationToken: token }),
  })();
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html. Tries version 2 before version 1. */
async function fromInstance(): Promise<Identity> {
  const { fromInstanceMetadata } = await import('@aws-sdk/credential-providers');
  return fromInstanceMetadata({ logger: SILENT_LOGGER, timeout: 1_000, maxRetries: 1 })();
}

function missing(hint: string, cause?: unknown): AppError {
  return new AppError('CREDENTIAL_MISSING', { detail: `${NO_CREDENTIALS}${hint}`, cause });
}
