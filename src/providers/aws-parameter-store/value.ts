import type { Parameter, SSMClient } from '@aws-sdk/client-ssm';
import type { ReadResult } from '../../core/read-result.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { badAnswer } from '../answer.ts';
import type { Session as AwsSession } from '../aws/session.ts';
import { createdAt } from '../results.ts';
import { plainName } from './keys.ts';

export type Session = AwsSession<SSMClient>;

/** A parameter to read. Without a version, its latest version is read. */
export interface Wanted {
  readonly key: string;
  /** A version number or a label. */
  readonly version: string | undefined;
}

/** Returns the form in which AWS expects a parameter with its version: `name`, `name:3` or `name:label`. */
export function selectorOf({ key, version }: Wanted): string {
  return version === undefined ? key : `${key}:${version}`;
}

/** Whether an entry of a response is about this key. In a malformed response, its members may have any type. */
export function isAbout(key: string, { Name: name, ARN: arn }: Parameter): boolean {
  if (typeof name !== 'string' || plainName(name) !== plainName(key)) return false;
  return !key.startsWith('arn:') || arn === undefined || arn === key;
}

/** @throws AppError BAD_ANSWER */
export function toResult(wanted: Wanted, entry: Parameter): ReadResult {
  const { Version: version, Value: text } = entry;
  if (!isAbout(wanted.key, entry)) throw badAnswer('a different parameter than requested');
  if (!Number.isSafeInteger(version) || version === 0) throw badAnswer('a parameter without its version');
  const isNumber = wanted.version !== undefined && /^\d+$/.test(wanted.version);
  if (isNumber && wanted.version !== String(version)) throw badAnswer('a different version than requested');
  if (typeof text !== 'string') throw badAnswer('a parameter without a value');
  if (!text.isWellFormed()) throw badAnswer('a text that is not Unicode');
  return {
    kind: 'found',
    value: SecretValue.fromText(text),
    version: String(version),
    ...createdAt(entry.LastModifiedDate),
  };
}
