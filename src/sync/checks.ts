import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { certificatesIn, PemError, privateKeyIn } from '../core/certificates.ts';
import { AppError } from '../core/errors.ts';
import { type JsonNode, member, parseIfJson } from '../core/json.ts';
import type { SecretValue } from '../core/secret-value.ts';

/** The API server's limit for all values of one Secret, in bytes. */
export const MAX_SECRET_BYTES = 1024 * 1024;

/** Types that grant access to the cluster. Values from a store must not create identities. */
export const FORBIDDEN_TYPES = ['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'];

type Data = ReadonlyMap<string, SecretValue>;

interface TypeRule {
  readonly keys: readonly string[];
  readonly check: (data: Data) => AppError | undefined;
}

/** The rules of each Secret type: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types */
const RULES = new Map<string, TypeRule>([
  [
    'kubernetes.io/tls',
    {
      keys: ['tls.crt', 'tls.key'],
      check: (data) => requireAll(data, ['tls.crt', 'tls.key']) ?? checkPair(data),
    },
  ],
  [
    'kubernetes.io/basic-auth',
    {
      keys: ['username', 'password'],
      check: (data) =>
        data.has('username') || data.has('password') ? undefined : keysMissing(['username or password']),
    },
  ],
  [
    'kubernetes.io/ssh-auth',
    {
      keys: ['ssh-privatekey'],
      check: (data) =>
        requireAll(data, ['ssh-privatekey']) ??
        (data.get('ssh-privatekey')?.size === 0 ? malformed('ssh-privatekey is empty') : undefined),
    },
  ],
  [
    'kubernetes.io/dockerconfigjson',
    {
      keys: ['.dockerconfigjson'],
      check: (data) => checkRegistries(data, '.dockerconfigjson', (config) => member(config, 'auths')),
    },
  ],
  [
    'kubernetes.io/dockercfg',
    { keys: ['.dockercfg'], check: (data) => checkRegistries(data, '.dockercfg', (config) => config) },
  ],
]);

/** Types that pods and people read. No controller of Kubernetes acts on them. */
export const ORDINARY_TYPES: readonly string[] = ['Opaque', ...RULES.keys()];

/**
 * Finds the problems for which the API server or a workload would reject the target. The check runs before anything is
 * written.
 */
export function checkTarget(type: string, data: Data): AppError | undefined {
  if (FORBIDDEN_TYPES.includes(type)) return new AppError('TYPE_FORBIDDEN', { detail: `type ${type}` });
  return checkSize(data) ?? RULES.get(type)?.check(data);
}

export function checkSize(data: Data): AppError | undefined {
  const size = [...data.values()].reduce((sum, value) => sum + value.size, 0);
  return size > MAX_SECRET_BYTES
    ? new AppError('TOO_LARGE', { detail: `${size} bytes, ${MAX_SECRET_BYTES} are allowed` })
    : undefined;
}

/**
 * Checks a Secret into which only these keys are merged. Applies a rule of the Secret's type only if the rule concerns
 * one of the keys.
 */
export function checkKeys(type: string, data: Data, keys: readonly string[]): AppError | undefined {
  const rule = RULES.get(type);
  return rule?.keys.some((key) => keys.includes(key)) ? rule.check(data) : undefined;
}

/** Returns the time when the first certificate of a `kubernetes.io/tls` target expires, in milliseconds since 1970. */
export function certificateExpiry(type: string, data: Data): number | undefined {
  const chain = data.get('tls.crt');
  if (type !== 'kubernetes.io/tls' || chain === undefined) return undefined;
  const [leaf] = ifPem(() => certificatesIn(chain.revealText('latin1')));
  return leaf === undefined ? undefined : leaf.validToDate.getTime();
}

function ifPem<T>(parse: () => readonly T[]): readonly T[] {
  try {
    return parse();
  } catch (error) {
    if (error instanceof PemError) return [];
    throw error;
  }
}

function requireAll(data: Data, keys: readonly string[]): AppError | undefined {
  const missing = keys.filter((key) => !data.has(key));
  return missing.length === 0 ? undefined : keysMissing(missing);
}

/**
 * Checks the content of a registry credential. The API server accepts any JSON here, but the kubelet needs an object of
 * registries.
 * @param registriesOf Returns the object of registries in the JSON.
 */
function checkRegistries(
  data: Data,
  key: string,
  registriesOf: (config: JsonNode) => JsonNode | undefined,
): AppError | undefined {
  const value = data.get(key);
  if (value === undefined) return keysMissing([key]);
  const config = parseIfJson(value.revealText());
  if (config?.kind !== 'object') return malformed(`${key} is not a JSON object`);
  const registries = registriesOf(config);
  if (registries?.kind !== 'object') return malformed(`${key} has no object \`auths\``);
  return registries.members.every(([, registry]) => registry.kind === 'object')
    ? undefined
    : malformed(`${key} holds a registry that is not a JSON object`);
}

/** Checks that all certificates parse. Servers use the first certificate and send the others as the chain. */
function checkPair(data: Data): AppError | undefined {
  const textOf = (key: string) => data.get(key)?.revealText('latin1') ?? '';
  const chain = parsed('tls.crt', textOf('tls.crt'), certificatesIn);
  if (chain instanceof AppError) return chain;
  const pem = parsed('tls.key', textOf('tls.key'), privateKeyIn);
  if (pem instanceof AppError) return pem;
  const key = parseKey(pem);
  if (key instanceof AppError) return key;
  const [leaf, ...others] = chain;
  if (leaf?.checkPrivateKey(key)) return undefined;
  const matchesLater = others.some((x509Certificate: X509Certificate) =>
    x509Certificate.checkPrivateKey(key),
  );
  return mismatch(
    matchesLater
      ? 'tls.key is the key of a certificate that is not the first in tls.crt'
      : 'tls.key is not the key of tls.crt',
  );
}

function parsed<T>(key: string, text: string, parse: (text: string) => T): T | AppError {
  // OpenSSL and Go recognize BEGIN and END only at the start of a line.
  if (/^[^\S\r\n]+-----(?:BEGIN|END) /m.test(text)) return mismatch(`${key} is indented`);
  // OpenSSL and Go do not accept CR alone as a line end.
  if (endsLineInCr(text)) return mismatch(`${key} has a line that ends in CR alone`);
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof PemError) return mismatch(`${key}: ${error.message}`);
    throw error;
  }
}

/** Check only the lines within a block, because the text around it does not matter. */
function endsLineInCr(text: string): boolean {
  let isOpen = false;
  for (const line of text.split('\n')) {
    isOpen ||= line.includes('-----BEGIN ');
    if (isOpen && /\r./s.test(line)) return true;
    if (line.includes('-----END ')) isOpen = false;
  }
  return false;
}

function parseKey(pem: string): KeyObject | AppError {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    // OpenSSL throws errors of many classes. Each of them means that the key is unusable.
    if (!(cause instanceof Error)) throw cause;
    const isEncrypted = /^-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED$/m.test(pem);
    return mismatch(isEncrypted ? 'tls.key is encrypted' : 'tls.key does not parse', cause);
  }
}

function mismatch(detail: string, cause?: unknown): AppError {
  return new AppError('TLS_MISMATCH', { detail, cause });
}

function malformed(detail: string): AppError {
  return new AppError('TYPE_KEYS_MISSING', { detail });
}

function keysMissing(keys: readonly string[]): AppError {
  return new AppError('TYPE_KEYS_MISSING', { detail: keys.join(', ') });
}
