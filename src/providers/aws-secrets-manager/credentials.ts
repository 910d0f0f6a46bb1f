import { AppError } from '../../core/errors.ts';
import { type Reference, unlessMissing } from '../credentials.ts';
import type { ProviderDeps } from '../provider.ts';
import type { AwsConfig } from './config.ts';
import { fromFailure, isRefusal, toStoreError } from './errors.ts';
import { createLease, type Identity, type Lease } from './lease.ts';
import { createMachineLogin } from './machine.ts';
import type { Role, Sts } from './sts.ts';

type Auth<Method> = Extract<AwsConfig['auth'], { method: Method }>;

/**
 * The one login of a store: its method, and on top of it one lease for each role, so that each is renewed in its
 * own time.
 */
export function createCredentials({ auth }: AwsConfig, sts: Sts, deps: ProviderDeps): Lease {
  const base = createLease(baseLogin(auth, sts, deps), deps.clock);
  return (auth.assumeRole ?? []).reduce(
    (below, role) => createLease(() => assume(role, below, sts), deps.clock),
    base,
  );
}

async function assume(role: Role, below: Lease, sts: Sts): Promise<Identity> {
  const identity = await below.current();
  try {
    return await sts.assumeRole(role, identity);
  } catch (failure) {
    const next = isRefusal(failure) ? await below.replace(identity, fromFailure(failure)) : undefined;
    if (next === undefined) throw toStoreError(failure);
    try {
      return await sts.assumeRole(role, next);
    } catch (again) {
      throw toStoreError(again);
    }
  }
}

function baseLogin(auth: AwsConfig['auth'], sts: Sts, deps: ProviderDeps): () => Promise<Identity> {
  switch (auth.method) {
    case 'static':
      return () => fromReferences(auth, deps);
    case 'webIdentity':
      return () => fromToken(auth.roleArn, auth.tokenFile, sts, deps);
    case 'default':
      return defaultLogin(sts, deps);
  }
}

/** Read afresh at each login: the file or the Secret may hold a new key by now. */
async function fromReferences(auth: Auth<'static'>, deps: ProviderDeps): Promise<Identity> {
  const [accessKeyId, secretAccessKey, sessionToken] = await Promise.all([
    text(auth.accessKeyId, deps),
    text(auth.secretAccessKey, deps),
    auth.sessionToken === undefined ? undefined : text(auth.sessionToken, deps),
  ]);
  return checked({ accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) });
}

/**
 * They go into headers, and what no header can carry would look as if AWS could not be reached.
 * @throws AppError AUTH_FAILED
 */
function checked(identity: Identity): Identity {
  const { accessKeyId, secretAccessKey, sessionToken = 'none' } = identity;
  if (![accessKeyId, secretAccessKey, sessionToken].every((part) => /^[\x21-\x7e]+$/.test(part)))
    throw new AppError('AUTH_FAILED', {
      detail: 'the access key or its session token has characters that none has, such as a line end',
    });
  return identity;
}

/** The token's file is read at each login, since whoever issues it renews it there. */
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
 * What a machine or a pod is given by its surroundings: environment, web identity (IRSA), container (EKS Pod
 * Identity, ECS), instance (EC2), the first that is there. Not the files of the AWS CLI: a profile in them may start
 * any program (`credential_process`) or a browser.
 */
function defaultLogin(sts: Sts, deps: ProviderDeps): () => Promise<Identity> {
  const variable = async (env: string) => (await unlessMissing(deps.credential({ env })))?.revealText();
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
      return checked({
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
