import {
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  type X509Certificate,
} from 'node:crypto';
import {
  certificatesIn,
  chainOrder,
  isSelfSigned,
  PemError,
  privateKeyIn,
  sortCertificates,
} from '../../core/certificates.ts';
import { isObject, JsonError, parseJson } from '../../core/json.ts';
import { Pkcs12Error, readPkcs12, unreadable } from '../../core/pkcs12.ts';
import { type Budget, TemplateError } from './budget.ts';
import { type Filters, TEXT_FILTERS } from './filters-text.ts';
import { Binary, fromBytes, fromNode, jsonText, plain, textOf, wellFormed } from './values.ts';

/** All available filters. */
export const FILTERS: Filters = {
  ...TEXT_FILTERS,
  json: { args: [0, 0], run: (b, input) => jsonText(input, b) },
  from_json: { args: [0, 0], run: (b, input) => parsed(textOf(input, b), b) },
  base64: { args: [0, 0], run: (b, input) => encoded(input, 'base64', b) },
  /** An alias of `base64`, for compatibility with other Liquid implementations. */
  base64_encode: { args: [0, 0], run: (b, input) => encoded(input, 'base64', b) },
  base64_decode: { args: [0, 0], run: (b, input) => decoded(textOf(input, b), 'base64') },
  base64url: { args: [0, 0], run: (b, input) => encoded(input, 'base64url', b) },
  base64url_decode: { args: [0, 0], run: (b, input) => decoded(textOf(input, b), 'base64url') },
  pem_certificates: {
    args: [0, 0],
    run: (b, input) => pem(() => parsedCertificates(b, input).map(String)),
  },
  pem_chain: { args: [0, 0], run: (b, input) => certificates(b, input, (all) => all) },
  pem_leaf: { args: [0, 0], run: (b, input) => certificates(b, input, (all) => all.slice(0, 1)) },
  pem_intermediates: {
    args: [0, 0],
    run: (b, input) =>
      certificates(b, input, ([, ...issuers]) => issuers.filter((certificate) => !isSelfSigned(certificate))),
  },
  pem_root: {
    args: [0, 0],
    run(b, input) {
      const roots = certificates(b, input, (all) => all.filter(isSelfSigned));
      if (roots === '') throw new TemplateError('there is no self-signed certificate');
      return roots;
    },
  },
  pem_key: { args: [0, 0], run: (b, input) => pem(() => privateKeyIn(textOf(input, b))) },
  jwk_public_pem: { args: [0, 0], run: (b, input) => publicPem(jwk(b, input)) },
  jwk_private_pem: { args: [0, 0], run: (b, input) => privatePem(jwk(b, input)) },
  /** Returns the certificates, leaf first. The default password is empty. */
  pkcs12_cert: { args: [0, 1], run: (b, input, password) => leafFirst(b, pkcs12(b, input, password)) },
  pkcs12_key: { args: [0, 1], run: (b, input, password) => onlyKey(pkcs12(b, input, password).keys) },
};

/** The cost of one iteration of key derivation, in characters. */
const ITERATION_WORK = 100;

interface CertificatesAndKeys {
  readonly certificates: readonly X509Certificate[];
  readonly keys: readonly KeyObject[];
}

function pkcs12(b: Budget, input: unknown, password: unknown = ''): CertificatesAndKeys {
  const value = plain(input);
  if (!(value instanceof Binary))
    throw new TemplateError('PKCS#12 is not text; `base64_decode` gives the bytes if it is encoded');
  const bytes = Binary.bytesOf(value);
  b.spend(bytes.byteLength * 100);
  const spend = (iterations: number): void => b.spend(iterations * ITERATION_WORK);
  try {
    const { certificates, keys } = readPkcs12(bytes, textOf(password, b), spend);
    return { certificates, keys: keys.map(privateKeyOf) };
  } catch (error) {
    if (!(error instanceof Pkcs12Error)) throw error;
    throw error.cause instanceof TemplateError
      ? error.cause
      : new TemplateError(error.message, { cause: error.cause });
  }
}

function privateKeyOf(key: Buffer): KeyObject {
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  } catch (cause) {
    // OpenSSL throws errors of many classes. Each of them means that the key is malformed.
    throw unreadable(cause);
  }
}

/** Returns the certificates, leaf first. Certificates outside the chain follow at the end. */
function leafFirst(b: Budget, { certificates, keys }: CertificatesAndKeys): string {
  if (certificates.length === 0) throw new TemplateError('there is no certificate in this PKCS#12');
  spendOnOrder(b, certificates.length);
  const { chain, others } = sortCertificates(certificates, {
    isOfKey: (x509Certificate) => keys.some((key) => x509Certificate.checkPrivateKey(key)),
  });
  return [...chain, ...others].map(String).join('');
}

function onlyKey(keys: readonly KeyObject[]): string {
  const [key] = keys;
  if (key === undefined) throw new TemplateError('there is no private key in this PKCS#12');
  if (keys.length > 1) throw new TemplateError('there is more than one private key in this PKCS#12');
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** The cost of reading a key, in characters. */
const KEY_WORK = 4000;

/**
 * Parses a JSON Web Key (RFC 7517). Azure Key Vault adds `-HSM` to the type of a key in hardware, and has a name of its
 * own for one curve.
 */
function jwk(b: Budget, input: unknown): JsonWebKey {
  const text = textOf(input, b);
  b.spend(text.length * JSON_WORK + KEY_WORK);
  const key = jsonObject(text);
  const { kty, crv } = key;
  return {
    ...key,
    ...(typeof kty === 'string' ? { kty: kty.replace(/-HSM$/, '') } : {}),
    ...(crv === 'P-256K' ? { crv: 'secp256k1' } : {}),
  };
}

function jsonObject(text: string): JsonWebKey {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new TemplateError('this is not a JSON Web Key');
}

function publicPem(key: JsonWebKey): string {
  return exported(() => createPublicKey({ key, format: 'jwk' }).export({ format: 'pem', type: 'spki' }));
}

function privatePem(key: JsonWebKey): string {
  return exported(() => createPrivateKey({ key, format: 'jwk' }).export({ format: 'pem', type: 'pkcs8' }));
}

/** OpenSSL throws errors of many classes, whose texts may quote the key. Each of them means that the key is malformed. */
function exported(work: () => string | Buffer): string {
  try {
    return work().toString();
  } catch (cause) {
    throw new TemplateError('this is not a JSON Web Key', { cause });
  }
}

/** The cost of parsing one character of JSON, compared with the cost of copying it. */
const JSON_WORK = 8;

function parsed(text: string, b: Budget): unknown {
  b.spend(text.length * JSON_WORK);
  try {
    return fromNode(parseJson(text), b);
  } catch (error) {
    if (error instanceof JsonError) throw new TemplateError('this is not JSON');
    throw error;
  }
}

type Encoding = 'base64' | 'base64url';

function encoded(input: unknown, encoding: Encoding, b: Budget): string {
  const value = plain(input);
  const bytes =
    value instanceof Binary ? Binary.bytesOf(value) : Buffer.from(wellFormed(textOf(value, b)), 'utf8');
  b.text(Math.ceil(bytes.byteLength / 3) * 4);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}

/**
 * Decodes RFC 4648, as strictly as the `decode` option of a source: `base64` requires padding and allows no white
 * space.
 */
function decoded(text: string, encoding: Encoding): string | Binary {
  const digits = encoding === 'base64url' && text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  const bytes = Buffer.from(digits, encoding);
  if (bytes.toString(encoding) !== digits) throw new TemplateError(`this is not ${encoding}`);
  return fromBytes(bytes, `what \`${encoding}_decode\` gives`);
}

function certificates(
  b: Budget,
  input: unknown,
  select: (chain: readonly X509Certificate[]) => readonly X509Certificate[],
): string {
  return pem(() =>
    select(ordered(b, parsedCertificates(b, input)))
      .map(String)
      .join(''),
  );
}

/** The cost of parsing one certificate, in characters. Comparing two certificates costs half of that. */
const CERTIFICATE_WORK = 4000;

function parsedCertificates(b: Budget, input: unknown): readonly X509Certificate[] {
  const text = textOf(input, b);
  b.spend((text.split('-----BEGIN').length - 1) * CERTIFICATE_WORK);
  return certificatesIn(text);
}

function ordered(b: Budget, unordered: readonly X509Certificate[]): readonly X509Certificate[] {
  spendOnOrder(b, unordered.length);
  return chainOrder(unordered);
}

function spendOnOrder(b: Budget, certificates: number): void {
  b.spend((certificates ** 2 * CERTIFICATE_WORK) / 2);
}

function pem<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PemError) throw new TemplateError(error.message);
    throw error;
  }
}
