import { AppError } from '../../core/errors.ts';
import { ifPresent, type Reference } from '../credentials.ts';
import type { ProviderDeps } from '../provider.ts';
import type { AwsConnection } from './config.ts';
import { fromFailure, isAuthFailure, toStoreError } from './errors.ts';
import { type Identity, Lease } from './lease.ts';
import { createMachineLogin } from './machine.ts';
import type { Role, Sts } from './sts.ts';

type Auth<Method> = Extract<AwsConnection['auth'], { method: Method }>;

/**
 * Creates the login of a store: a lease for its login method, and a lease for each role to assume. Each lease renews
 * its own credentials.
 */
export function createCredentials({ auth }: AwsConnection, sts: Sts, deps: ProviderDeps): Lease {
  const base = new Lease(baseLogin(auth, sts, deps), deps.clock);
  return (auth.assumeRole ?? []).reduce(
    (below, role) => new Lease(() => assume(role, below, sts), deps.clock),
    base,
  );
}

async function assume(role: Role, below: Lease, sts: Sts): Promise<Identity> {
  const identity = await below.current();
  try {
    return await sts.assumeRole(role, identity);
  } catch (failure) {
    const next = isAuthFailure(failure) ? await below.replace(identity, fromFailure(failure)) : undefined;
    if (next === undefined) throw toStoreError(failure);
    try {
      return await sts.assumeRole(role, next);
    } catch (secondFailure) {
      throw toStoreError(secondFailure);
    }
  }
}

function baseLogin(auth: AwsConnection['auth'], sts: Sts, deps: ProviderDeps): () => Promise<Identity> {
  switch (auth.method) {
    case 'static':
      return () => fromReferences(auth, deps);
    case 'webIdentity':
      return () => fromToken(auth.roleArn, auth.tokenFile, sts, deps);
    case 'default':
      return defaultLogin(sts, deps);
  }
}

/** Reads the referenced credentials on each login, because their file or Secret may have changed. */
async function fromReferences(auth: Auth<'static'>, deps: ProviderDeps): Promise<Identity> {
  const [accessKeyId, secretAccessKey, sessionToken] = await Promise.all([
    text(auth.accessKeyId, deps),
    text(auth.secretAccessKey, deps),
    auth.sessionToken === undefined ? undefined : text(auth.sessionToken, deps),
  ]);
  return checkIdentity({
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  });
}

/**
 * Checks that the credentials contain only characters that a header may contain. Otherwise the request would fail with
 * an error that looks like a connection failure.
 * @throws AppError AUTH_FAILED
 */
function checkIdentity(identity: Identity): Identity {
  const { accessKeyId, secretAccessKey, sessionToken = 'none' } = identity;
  if (![accessKeyId, secretAccessKey, sessionToken].every((part) => /^[\x21-\x7e]+$/.test(part)))
    throw new AppError('AUTH_FAILED', {
      detail: 'the access key or its session token contains invalid characters, such as a line end',
    });
  return identity;
}

/** Reads the token file on each login, because the token is rotated. */
async function fromToken(
  roleArn: string,
  tokenFile: string | undefined,
  sts: Sts,
  deps: ProviderDeps,
): Promise<Identity> {
  const file = tokenFile ?? (await text({ env: 'AWS_WEB_IDENTITY_TOKEN_FILE' }, deps));
  return sts.assumeRoleWithWebIdentity(roleArn, await text({ file }, deps));
}

/**
 * Uses the first credentials that exist: environment variables, web identity (IRSA), container (EKS Pod Identity, ECS),
 * instance (EC2). Does not use the files of the AWS CLI, because a profile in them can start any program
 * (`credential_process`) or a browser.
 */
function defaultLogin(sts: Sts, deps: ProviderDeps): () => Promise<Identity> {
  const variable = async (env: string) => (await ifPresent(deps.credential({ env })))?.revealText();
  const fromMachine = createMachineLogin(variable);
  return async () => {
    const [accessKeyId, secretAccessKey, sessionToken, roleArn, tokenFile] = await Promise.all(
      [
        'AWS_ACCESS_KEY_ID',
        'AWS_SECRET_ACCESS_KEY',
        'AWS_SESSION_TOKEN',
        'AWS_ROLE_ARN',
        'AWS_WEB_IDENTITY_TOKEN_FILE',
      ].map(variable),
    );
    if (accessKeyId !== undefined && secretAccessKey !== undefined) {
      return checkIdentity({
        accessKeyId,
        secretAccessKey,
        ...(sessionToken === undefined ? {} : { sessionToken }),
      });
    }
    if (roleArn !== undefined && tokenFile !== undefined) return fromToken(roleArn, tokenFile, sts, deps);
    return fromMachine();
  };
}

async function text(reference: Reference, deps: ProviderDeps): Promise<string> {
  const value = await deps.credential(reference);
  return value.revealText();
}
