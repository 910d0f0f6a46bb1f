import { createDecipheriv, createPrivateKey, pbkdf2Sync, X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type Forge from 'node-forge';
import { type Budget, TemplateError } from './budget.ts';

// Reads PKCS#12 (RFC 7292). The integrity check is skipped: stores are trusted, and the check would need more
// algorithms than the keys.

export interface Pkcs12 {
  readonly certificates: readonly X509Certificate[];
  /** Private keys as PKCS#8 in PEM. */
  readonly keys: readonly string[];
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
 * The maximum number of key derivation iterations for one part of a file. Common tools use 2,048 to 51,200. A higher
 * count could block the process. The budget limits the sum of all parts.
 */
const MAX_ITERATIONS = 100_000;
/** The cost of one iteration, in characters. */
const ITERATION_COST = 100;

const UNKNOWN_ALGORITHM = 'this PKCS#12 uses an unsupported encryption: export it again with AES-CBC or 3DES';

/** Loaded on first use, because few templates need it. */
let loaded: typeof Forge | undefined;
function forge(): typeof Forge {
  loaded ??= createRequire(import.meta.url)('node-forge') as typeof Forge;
  return loaded;
}

/** @throws TemplateError if the bytes are not PKCS#12 or the password is wrong. The two cases look the same. */
export function readPkcs12(bytes: Uint8Array, password: string, budget: Budget): Pkcs12 {
  let cause: Error | undefined;
  // If there is no password, some tools derive keys from an empty password and others from none.
  for (const candidate of password === '' ? ['', undefined] : [password]) {
    try {
      return new Pkcs12Reader(candidate, budget).file(bytes);
    } catch (error) {
      // The library and OpenSSL throw errors of many classes. Each of them means that this part is malformed.
      if (error instanceof TemplateError || !(error instanceof Error)) throw error;
      cause = error;
    }
  }
  throw new TemplateError('this is not PKCS#12, or the password is wrong', { cause });
}

class Pkcs12Reader {
  readonly #password: string | undefined;
  readonly #budget: Budget;
  #iterations = 0;
  readonly #certificates: X509Certificate[] = [];
  readonly #keys: string[] = [];

  constructor(password: string | undefined, budget: Budget) {
    this.#password = password;
    this.#budget = budget;
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
      } else if (oidOf(type) === OID.keyBag && value !== undefined) this.#key(value);
      else if (oidOf(type) === OID.shroudedKeyBag) {
        const [algorithm, encrypted] = membersOf(value);
        this.#key(this.#decrypt(algorithm, octetsOf(encrypted)));
      }
    }
  }

  #key(info: Asn1): void {
    const key = Buffer.from(forge().asn1.toDer(info).getBytes(), 'binary');
    const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    this.#keys.push(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
  }

  #decrypt(algorithm: Asn1 | undefined, encrypted: string): Asn1 {
    if (algorithm === undefined) throw new Error('no algorithm');
    const iterations = iterationsIn(algorithm);
    // For an integer without bytes, the count is NaN, which this comparison rejects too.
    if (!(iterations <= MAX_ITERATIONS))
      throw new TemplateError(`the password of this PKCS#12 is hashed more than ${MAX_ITERATIONS} times`);
    this.#iterations += iterations;
    // Charge all earlier parts again, so that a file with many parts soon exceeds the budget.
    this.#budget.spend(this.#iterations * ITERATION_COST);
    const secret = { password: this.#password ?? '', iterations };
    return decryptPbes2(algorithm, encrypted, secret) ?? this.#decryptByLibrary(algorithm, encrypted);
  }

  /** Decrypts with the library. It decrypts only private keys, so any encrypted data is wrapped as a private key. */
  #decryptByLibrary(algorithm: Asn1, encrypted: string): Asn1 {
    const { asn1, pki } = forge();
    const { Class, Type } = asn1;
    const octets = asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, encrypted);
    const info = asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [algorithm, octets]);
    let decrypted: Asn1 | null;
    try {
      // The library accepts a missing password, but its types do not.
      decrypted = pki.decryptPrivateKeyInfo(info, this.#password as string);
    } catch (cause) {
      // The library throws this only for an unsupported algorithm, so another password would not help.
      if (cause instanceof Error && 'oid' in cause) throw new TemplateError(UNKNOWN_ALGORITHM, { cause });
      throw cause;
    }
    if (decrypted === null) throw new Error('another password');
    return decrypted;
  }
}

/**
 * Decrypts PBES2 (RFC 8018) with OpenSSL, because the library's key derivation would block the process for seconds.
 * Returns undefined for other algorithms.
 * @param secret Includes the iteration count that was already checked.
 */
function decryptPbes2(
  algorithm: Asn1,
  encrypted: string,
  { password, iterations }: { readonly password: string; readonly iterations: number },
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
  if (name === 'des-cbc') return parse(decryptDes(key, octetsOf(iv), encrypted));
  const decipher = createDecipheriv(name, key, bytesOf(octetsOf(iv)));
  const decrypted = Buffer.concat([decipher.update(bytesOf(encrypted)), decipher.final()]);
  return parse(decrypted.toString('binary'));
}

/** OpenSSL supports DES only in its legacy provider. */
function decryptDes(key: Buffer, iv: string, encrypted: string): string {
  const { cipher, util } = forge();
  const decipher = cipher.createDecipher('DES-CBC', key.toString('binary'));
  decipher.start({ iv });
  decipher.update(util.createBuffer(encrypted));
  if (!decipher.finish()) throw new Error('another password');
  return decipher.output.getBytes();
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
