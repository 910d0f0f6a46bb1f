import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { ReadResult } from '../../core/read-result.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { badAnswer } from '../answer.ts';
import type { Session as AwsSession } from '../aws/session.ts';
import { createdAt } from '../results.ts';

export type Session = AwsSession<SecretsManagerClient>;

/** A secret in a response of GetSecretValue or BatchGetSecretValue. */
export interface SecretEntry {
  readonly ARN?: string | undefined;
  readonly Name?: string | undefined;
  readonly VersionId?: string | undefined;
  readonly SecretString?: string | undefined;
  readonly SecretBinary?: Uint8Array | undefined;
  readonly CreatedDate?: Date | undefined;
}

/** @throws AppError BAD_ANSWER */
export function toResult({ VersionId: version, CreatedDate: created, ...entry }: SecretEntry): ReadResult {
  if (typeof version !== 'string' || version === '') throw badAnswer('a secret without its version');
  return {
    kind: 'found',
    value: payload(entry),
    version,
    ...createdAt(created),
  };
}

/** Returns the value of a secret, which is either text or bytes. */
function payload({ SecretString: text, SecretBinary: bytes }: SecretEntry): SecretValue {
  if (typeof text === 'string') {
    if (!text.isWellFormed()) throw badAnswer('a text that is not Unicode');
    return SecretValue.fromText(text);
  }
  if (bytes instanceof Uint8Array) return SecretValue.fromBytes(bytes);
  throw badAnswer('a secret without a value');
}
