import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import type { ProviderDeps } from '../provider.ts';
import { clientOptions, stsEndpoint } from './client-options.ts';
import type { AwsConnection } from './config.ts';
import { AwsFailure, failureOf, isDenied, isType, toStoreError } from './errors.ts';
import { createStsHandler } from './handler.ts';
import type { Identity } from './lease.ts';
import type { Transport } from './transport.ts';

export type Role = NonNullable<AwsConnection['auth']['assumeRole']>[number];

/** Logs in with STS. https://docs.aws.amazon.com/STS/latest/APIReference/ */
export interface Sts {
  /**
   * @throws AwsFailure if AWS refuses `identity`.
   * @throws AppError for every other failure.
   */
  assumeRole(role: Role, identity: Identity): Promise<Identity>;
  /** @throws AppError */
  assumeRoleWithWebIdentity(roleArn: string, token: string): Promise<Identity>;
}

/** @param closing A signal that aborts running calls when the store is closed. */
export function createSts(
  config: AwsConnection,
  transport: Transport,
  deps: ProviderDeps,
  closing: AbortSignal,
): Sts {
  const endpoint = stsEndpoint(config);
  const clientConfig = {
    ...clientOptions(config),
    ...(endpoint === undefined ? {} : { endpoint }),
    requestHandler: createStsHandler(transport, (call) => deps.limit(call, closing, 'login', failureOf)),
  };
  // A session name may have up to 64 characters of `[\w+=,.@-]`. The name of a store contains no other characters.
  const sessionName = `secretbridge-${deps.name}`.slice(0, 64);
  return {
    async assumeRole(role, identity) {
      const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers');
      const tags = Object.entries(role.tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
      const provide = fromTemporaryCredentials({
        masterCredentials: plain(identity),
        clientConfig,
        params: {
          RoleArn: role.roleArn,
          RoleSessionName: role.sessionName ?? sessionName,
          ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
          ...(tags.length === 0 ? {} : { Tags: tags }),
        },
      });
      return logIn(provide, (failure) => {
        if (isDenied(failure)) return roleDenied(role.roleArn, 'its trust policy and `sts:AssumeRole`');
        return failure; // not converted, because the caller may try another identity
      });
    },
    async assumeRoleWithWebIdentity(roleArn, token) {
      const { fromWebToken } = await import('@aws-sdk/credential-providers');
      const provide = fromWebToken({
        roleArn,
        webIdentityToken: token,
        roleSessionName: sessionName,
        clientConfig,
      });
      return logIn(provide, (failure) => {
        if (isDenied(failure)) return roleDenied(roleArn, 'its trust policy for web identities');
        // No session exists yet, so only the web identity token can have expired.
        if (isType(failure, 'ExpiredTokenException', 'ExpiredToken'))
          return new AppError('AUTH_FAILED', { detail: 'the web identity token has expired' });
        return toStoreError(failure);
      });
    },
  };
}

async function logIn(
  provide: () => Promise<Identity>,
  explain: (failure: AwsFailure) => unknown,
): Promise<Identity> {
  try {
    return plain(await provide());
  } catch (thrown) {
    if (thrown instanceof AwsFailure) throw explain(thrown);
    const error = toStoreError(thrown);
    if (error instanceof AppError) throw error;
    // The SDK throws a plain Error if the response contains no credentials.
    throw badAnswer(
      'a login without credentials',
      new Error(thrown instanceof Error ? thrown.name : 'unknown'),
    );
  }
}

/** Removes the SDK's metadata about where the credentials come from. */
function plain({ accessKeyId, secretAccessKey, sessionToken, expiration }: Identity) {
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiration === undefined ? {} : { expiration }),
  };
}

function roleDenied(roleArn: string, whereToLook: string): AppError {
  return new AppError('AUTH_FAILED', {
    detail: `the role ${roleArn} cannot be assumed: check ${whereToLook}`,
  });
}
