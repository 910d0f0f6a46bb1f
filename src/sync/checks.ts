import { createPrivateKey, X509Certificate } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { JsonError, parseJson } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';

/** What the API server allows for the values of one Secret together, in bytes. */
export const MAX_SECRET_BYTES = 1024 * 1024;

/** Types that grant access to the cluster: a store must never be able to hand out identities. */
export const FORBIDDEN_TYPES = ['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'];

type Data = ReadonlyMap<string, SecretValue>;

/** The rules for each type: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types */
const RULES: Readonly<Record<string, (data: Data) => AppError | undefined>> = {
  'kubernetes.io/tls': (data) => requireAll(data, ['tls.crt', 'tls.key']) ?? checkPair(data),
  'kubernetes.io/basic-auth': (data) =>
    data.has('username') || data.has('password') ? undefined : keysMissing(['username or password']),
  'kubernetes.io/ssh-auth': (data) => requireAll(data, ['ssh-privatekey']),
  'kubernetes.io/dockerconfigjson': (data) => requireJson(data, '.dockerconfigjson'),
  'kubernetes.io/dockercfg': (data) => requireJson(data, '.dockercfg'),
};

/** What would make the API server or a workload reject the target; found before anything is written. */
export function checkTarget(type: string, data: Data): AppError | undefined {
  if (FORBIDDEN_TYPES.includes(type)) return new AppError('TYPE_FORBIDDEN', { detail: `type ${type}` });
  const size = [...data.values()].reduce((sum, value) => sum + value.size, 0);
  if (size > MAX_SECRET_BYTES)
    return new AppError('TOO_LARGE', { detail: `${size} bytes, ${MAX_SECRET_BYTES} are allowed` });
  return RULES[type]?.(data);
}

function requireAll(data: Data, keys: readonly string[]): AppError | undefined {
  const missing = keys.filter((key) => !data.has(key));
  return missing.length === 0 ? undefined : keysMissing(missing);
}

function requireJson(data: Data, key: string): AppError | undefined {
  const value = data.get(key);
  if (value === undefined) return keysMissing([key]);
  try {
    if (parseJson(Buffer.from(value.reveal()).toString('utf8')).kind === 'object') return undefined;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
  }
  return new AppError('TYPE_KEYS_MISSING', { detail: `${key} is not a JSON object` });
}

function checkPair(data: Data): AppError | undefined {
  const [crt, key] = ['tls.crt', 'tls.key'].map((name) => Buffer.from(data.get(name)?.reveal() ?? []));
  try {
    // The leaf comes first in a chain; the class reads that one only.
    if (new X509Certificate(crt ?? '').checkPrivateKey(createPrivateKey(key ?? ''))) return undefined;
    return new AppError('TLS_MISMATCH', { detail: 'tls.key is not the key of tls.crt' });
  } catch (cause) {
    // OpenSSL's errors have many classes and codes; each means that one of the two does not parse.
    if (!(cause instanceof Error)) throw cause;
    return new AppError('TLS_MISMATCH', { detail: 'tls.crt or tls.key does not parse', cause });
  }
}

function keysMissing(keys: readonly string[]): AppError {
  return new AppError('TYPE_KEYS_MISSING', { detail: keys.join(', ') });
}
