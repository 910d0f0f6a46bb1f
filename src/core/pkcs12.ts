import { createDecipheriv, pbkdf2Sync, X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type Forge from 'node-forge';
import { derivePkcs12Key, type KeyInput, PURPOSE } from './pkcs12-key.ts';

// Reads PKCS#12 (RFC 7292). The integrity check is skipped: stores are trusted, and the check would need more
// algorithms than the keys. The library's own reader is not used. It changes the bytes of certificates, derives keys ten
// times slower than OpenSSL, and does not limit the iterations.

export interface Pkcs12 {
  readonly certificates: readonly X509Certificate[];
  /** Private keys as PKCS#8 in DER. They may be of a type that OpenSSL does not know. */
  readonly keys: readonly Buffer[];
}

/** The message contains nothing from the file. */
export class Pkcs12Error extends Error {
  readonly reason: 'unreadable' | 'unsupported' | 'too-costly';

  constructor(reason: Pkcs12Error['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

type Asn1 = Forge.asn1.Asn1;

const OID = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  pbe3Des: '1.2.840.113549.1.12.1.3',
  pbeRc2: '1.2.840.113549.1.12.1.6',
} as const;

/** The supported PBES2 ciphers, with their OpenSSL names and key lengths in bytes. */
const CIPHERS = new Map<string, readonly [name: string, keyBytes: number]>([
  ['1.3.14.3.2.7', ['des-cbc', 8]],
  ['1.2.840.113549.3.7', ['des-ede3-cbc', 24]],
  ['2.16.840.1.101.3.4.1.2', ['aes-128-cbc', 16]],
  ['2.16.840.1.101.3.4.1.22', ['aes-192-cbc', 24]],
  ['2.16.840.1.101.3.4.1.42', ['aes-256-cbc', 32]],
]);
const DIGESTS = new Map([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.8', 'sha224'],
  ['1.2.840.113549.2.9', 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
]);

/**
 * Limits the memory, because parsing needs up to about 100 times the size of the file. Real files have a few kilobytes.
 */
const MAX_BYTES = 512 * 1024;
/**
 * The maximum number of key derivation iterations for one part of a file. Common tools use 2,048 to 51,200. A higher
 * count could block the process.
 */
const MAX_ITERATIONS = 100_000;
/** Limited, because sorting compares all pairs of certificates. */
const MAX_CERTIFICATES = 150;
/**
 * The limit for all parts of one file together. The slowest algorithm takes about half a second for this many iterations.
 */
const MAX_TOTAL_ITERATIONS = 2 * MAX_ITERATIONS;

const UNKNOWN_ALGORITHM = 'this PKCS#12 uses an unsupported encryption: export it again with AES-CBC or 3DES';

/** Loaded on first use, because few templates need it. */
let loaded: typeof Forge | undefined;
function forge(): typeof Forge {
  loaded ??= createRequire(import.meta.url)('node-forge') as typeof Forge;
  return loaded;
}

/**
 * Reads a file with its password, which is empty if there is none.
 * @param onIterations Called before each key derivation with the number of its iterations, which are the cost of reading.
 * @throws Pkcs12Error. If `onIterations` throws, its error is the `cause`.
 */
export function readPkcs12(
  bytes: Uint8Array,
  password: string,
  onIterations: (iterations: number) => void = () => undefined,
): Pkcs12 {
  if (bytes.byteLength > MAX_BYTES)
    throw new Pkcs12Error('too-costly', `this PKCS#12 has more than ${MAX_BYTES} bytes`);
  let cause: Error | undefined;
  // If there is no password, some tools derive keys from an empty password and others from none.
  for (const candidate of password === '' ? ['', undefined] : [password]) {
    try {
      return new Pkcs12Reader(candidate, onIterations).file(bytes);
    } catch (error) {
      // The library and OpenSSL throw errors of many classes. Each of them means that this part is malformed.
      if (error instanceof Pkcs12Error || !(error instanceof Error)) throw error;
      cause = error;
    }
  }
  throw unreadable(cause);
}

/** A malformed file and a wrong password look the same. */
export function unreadable(cause: unknown): Pkcs12Error {
  return new Pkcs12Error('unreadable', 'this is not PKCS#12, or the password is wrong', { cause });
}

class Pkcs12Reader {
  readonly #password: string | undefined;
  readonly #onIterations: (iterations: number) => void;
  #iterations = 0;
  readonly #certificates: X509Certificate[] = [];
  readonly #keys: Buffer[] = [];

  constructor(password: string | undefined, onIterations: (iterations: number) => void) {
    this.#password = password;
    this.#onIterations = onIterations;
  }

  /** Reads the outer structure (PFX): version, content, and the integrity check, which is skipped. */
  file(bytes: Uint8Array): Pkcs12 {
    const [, content] = membersOf(parse(Buffer.from(bytes).toString('binary')));
    for (const part of membersOf(parse(this.#dataOf(content)))) this.#part(part);
    return { certificates: this.#certificates, keys: this.#keys };
  }

  #dataOf(content: Asn1 | undefined): string {
    const [type, wrapped] = membersOf(content);
    if (oidOf(type) !== OID.data) throw new Error('a signed file');
    return octetsOf(membersOf(wrapped)[0]);
  }

  #part(part: Asn1): void {
    const [type, wrapped] = membersOf(part);
    if (oidOf(type) === OID.data) {
      this.#bags(parse(octetsOf(membersOf(wrapped)[0])));
      return;
    }
    if (oidOf(type) !== OID.encryptedData) throw new Error('a part for a public key');
    const [, content] = membersOf(membersOf(wrapped)[0]);
    const [, algorithm, encrypted] = membersOf(content);
    this.#bags(this.#decrypt(algorithm, octetsOf(encrypted)));
  }

  #bags(bags: Asn1): void {
    for (const bag of membersOf(bags)) {
      const [type, wrapped] = membersOf(bag);
      const [value] = membersOf(wrapped);
      if (oidOf(type) === OID.certBag) {
        const [, certificate] = membersOf(value);
        const der = octetsOf(membersOf(certificate)[0]);
        this.#certificates.push(new X509Certificate(Buffer.from(der, 'binary')));
        if (this.#certificates.length > MAX_CERTIFICATES)
          throw new Pkcs12Error('too-costly', `this PKCS#12 has more than ${MAX_CERTIFICATES} certificates`);
      } else if (oidOf(type) === OID.keyBag && value !== undefined) this.#key(value);
      else if (oidOf(type) === OID.shroudedKeyBag) {
        const [algorithm, encrypted] = membersOf(value);
        this.#key(this.#decrypt(algorithm, octetsOf(encrypted)));
      }
    }
  }

  #key(info: Asn1): void {
    this.#keys.push(Buffer.from(forge().asn1.toDer(info).getBytes(), 'binary'));
  }

  #decrypt(algorithm: Asn1 | undefined, encrypted: string): Asn1 {
    if (algorithm === undefined) throw new Error('no algorithm');
    const iterations = iterationsIn(algorithm);
    // For an integer without bytes, the count is NaN, which this comparison rejects too.
    if (!(iterations <= MAX_ITERATIONS)) throw tooManyIterations(MAX_ITERATIONS);
    this.#iterations += iterations;
    if (this.#iterations > MAX_TOTAL_ITERATIONS) throw tooManyIterations(MAX_TOTAL_ITERATIONS);
    this.#onIterations(iterations);
    const secret = { password: this.#password, iterations };
    const decrypted =
      decryptPbes2(algorithm, encrypted, secret) ?? decryptPkcs12(algorithm, encrypted, secret);
    // Another password would not help.
    if (decrypted === undefined) throw new Pkcs12Error('unsupported', UNKNOWN_ALGORITHM);
    return decrypted;
  }
}

function tooManyIterations(limit: number): Pkcs12Error {
  return new Pkcs12Error('too-costly', `the password of this PKCS#12 is hashed more than ${limit} times`);
}

/**
 * Decrypts PBES2 (RFC 8018) with OpenSSL, because the library's key derivation would block the process for seconds.
 * Returns undefined for other algorithms. The caller has already checked the iteration count.
 */
function decryptPbes2(
  algorithm: Asn1,
  encrypted: string,
  { password = '', iterations }: Omit<KeyInput, 'salt'>,
): Asn1 | undefined {
  const [type, parameters] = membersOf(algorithm);
  if (oidOf(type) !== OID.pbes2) return undefined;
  const [derivation, encryption] = membersOf(parameters);
  const [kdf, kdfParameters] = membersOf(derivation);
  if (oidOf(kdf) !== OID.pbkdf2) return undefined;
  // After the salt, the parameters contain the iteration count, an optional key length and the digest. The cipher
  // determines the key length.
  const [salt, ...rest] = membersOf(kdfParameters);
  const prf = rest.find((asn1) => typeof asn1.value !== 'string');
  const digest = prf === undefined ? 'sha1' : DIGESTS.get(oidOf(membersOf(prf)[0]));
  const [cipherType, iv] = membersOf(encryption);
  const cipher = CIPHERS.get(oidOf(cipherType));
  if (digest === undefined || cipher === undefined) return undefined;
  const [name, keyBytes] = cipher;
  const key = pbkdf2Sync(password, bytesOf(octetsOf(salt)), iterations, keyBytes, digest);
  if (name !== 'des-cbc') return decryptWith(name, key, bytesOf(octetsOf(iv)), encrypted);
  const decipher = forge().cipher.createDecipher('DES-CBC', key.toString('binary'));
  decipher.start({ iv: octetsOf(iv) });
  return finish(decipher, encrypted);
}

/** Decrypts the algorithms of PKCS#12 itself (RFC 7292, appendix C). Returns undefined for other algorithms. */
function decryptPkcs12(algorithm: Asn1, encrypted: string, secret: Omit<KeyInput, 'salt'>): Asn1 | undefined {
  const [type, parameters] = membersOf(algorithm);
  const scheme = oidOf(type);
  if (scheme !== OID.pbe3Des && scheme !== OID.pbeRc2) return undefined;
  const input = { ...secret, salt: bytesOf(octetsOf(membersOf(parameters)[0])) };
  const iv = derivePkcs12Key(input, PURPOSE.iv, 8);
  if (scheme === OID.pbe3Des)
    return decryptWith('des-ede3-cbc', derivePkcs12Key(input, PURPOSE.key, 24), iv, encrypted);
  const { rc2, util } = forge();
  const key = util.createBuffer(derivePkcs12Key(input, PURPOSE.key, 5).toString('binary'));
  const decipher = rc2.createDecryptionCipher(key, 40);
  decipher.start(iv.toString('binary'));
  return finish(decipher, encrypted);
}

function decryptWith(cipher: string, key: Buffer, iv: Buffer, encrypted: string): Asn1 {
  const decipher = createDecipheriv(cipher, key, iv);
  const decrypted = Buffer.concat([decipher.update(bytesOf(encrypted)), decipher.final()]);
  return parse(decrypted.toString('binary'));
}

/** Decrypts with the library. OpenSSL supports DES and RC2 only in its legacy provider. */
function finish(decipher: Pick<Forge.rc2.cipher, 'update' | 'finish' | 'output'>, encrypted: string): Asn1 {
  decipher.update(forge().util.createBuffer(encrypted));
  if (!decipher.finish()) throw new Error('another password');
  return parse(decipher.output.getBytes());
}

/** In all algorithms, the iteration count is the parameter after the salt. */
function iterationsIn(node: Asn1): number {
  const { Type } = forge().asn1;
  const members = typeof node.value === 'string' ? [] : node.value;
  return members.reduce((sum, member, index) => {
    const follows = members[index - 1]?.type === Type.OCTETSTRING && member.type === Type.INTEGER;
    return sum + (follows ? Number(`0x${bytesOf(octetsOf(member)).toString('hex')}`) : iterationsIn(member));
  }, 0);
}

function bytesOf(binary: string): Buffer {
  return Buffer.from(binary, 'binary');
}

function parse(der: string): Asn1 {
  return forge().asn1.fromDer(der);
}

function membersOf(node: Asn1 | undefined): readonly Asn1[] {
  if (node === undefined || typeof node.value === 'string') throw new Error('not a structure');
  return node.value;
}

function oidOf(node: Asn1 | undefined): string {
  if (node === undefined || typeof node.value !== 'string') throw new Error('not an identifier');
  return forge().asn1.derToOid(node.value);
}

/** Some tools split long octet strings into pieces. */
function octetsOf(node: Asn1 | undefined): string {
  if (node === undefined) throw new Error('no content');
  return typeof node.value === 'string' ? node.value : node.value.map(octetsOf).join('');
}
