import type { ReadResult } from '../../core/read-result.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { badAnswer } from '../answer.ts';
import { createdAt } from '../results.ts';

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

/**
 * Checks a list in a response. The SDK does not check responses, so the list may have any type.
 * @param what The description for the error message, such as `a list of secrets`.
 * @returns The list, or an empty list if the response contains none.
 * @throws AppError BAD_ANSWER if it is not a list of objects.
 */
export function asObjectList<Item extends object>(
  list: readonly Item[] | undefined,
  what: string,
): readonly Item[] {
  const items = list ?? [];
  if (!Array.isArray(items) || items.some((item) => typeof item !== 'object' || item === null))
    throw badAnswer(`${what} with an unexpected form`);
  return items;
}
