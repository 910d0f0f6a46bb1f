import { createDecipheriv, createPrivateKey, pbkdf2Sync, X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type Forge from 'node-forge';
import { type Budget, TemplateError } from './budget.ts';

// PKCS#12 (RFC 7292), read only. The integrity check is left out: a store is trusted with the values it gives, and what
// the check is made with varies more than what holds the keys.

export interface Pkcs12 {
  readonly certificates: readonly X509Certificate[];
  /** PKCS#8, PEM. */
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

/** Of PBES2: how OpenSSL names them, and the bytes of their keys. */
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
 * For one part. Writers use 2,048 to 51,200; without a bound a file could stop the process. The work bounds all parts.
 */
const MAX_ITERATIONS = 100_000;
/** What one iteration costs of a budget that counts characters. */
const ITERATION_COST = 100;

const UNKNOWN_ALGORITHM =
  'this PKCS#12 is encrypted in a way that cannot be read: make it anew with AES-CBC or 3DES';

/** Loaded when a template first asks for it, since few do. */
let loaded: typeof Forge | undefined;
function forge(): typeof Forge {
  loaded ??= createRequire(import.meta.url)('node-forge') as typeof Forge;
  return loaded;
}

/** @throws TemplateError when it is none, or the password is another; which of the two cannot be told. */
export function readPkcs12(bytes: Uint8Array, password: string, budget: Budget): Pkcs12 {
  let cause: Error | undefined;
  // Where there is no password, writers differ in whether that is an empty one or none; their keys are others.
  for (const candidate of password === '' ? ['', undefined] : [password]) {
    try {
      return new Pkcs12Reader(candidate, budget).file(bytes);
    } catch (error) {
      // Those of the library and of OpenSSL are of many kinds; each means that this part is not what it should be.
      if (error instanceof TemplateError || !(error instanceof Error)) throw error;
      cause = error;
    }
  }
  throw new TemplateError('this is no PKCS#12 that can be read with this password', { cause });
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

  /** PFX: version, content, and the check that is left out. */
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
    // With an integer of no bytes the sum is no number.
    if (!(iterations <= MAX_ITERATIONS))
      throw new TemplateError(`the password of this PKCS#12 is hashed more than ${MAX_ITERATIONS} times`);
    this.#iterations += iterations;
    // What came before counts again, so that a file of many parts ends soon.
    this.#budget.spend(this.#iterations * ITERATION_COST);
    const secret = { password: this.#password ?? '', iterations };
    return decryptPbes2(algorithm, encrypted, secret) ?? this.#decryptByLibrary(algorithm, encrypted);
  }

  /** It decrypts private keys only, so whatever is encrypted is given to it in their form. */
  #decryptByLibrary(algorithm: Asn1, encrypted: string): Asn1 {
    const { asn1, pki } = forge();
    const { Class, Type } = asn1;
    const octets = asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, encrypted);
    const info = asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [algorithm, octets]);
    let decrypted: Asn1 | null;
    try {
      // Its types know of no missing password, but the library does.
      decrypted = pki.decryptPrivateKeyInfo(info, this.#password as string);
    } catch (cause) {
      // Of an algorithm that it has not, and of nothing else. Another password would not help.
      if (cause instanceof Error && 'oid' in cause) throw new TemplateError(UNKNOWN_ALGORITHM, { cause });
      throw cause;
    }
    if (decrypted === null) throw new Error('another password');
    return decrypted;
  }
}

/**
 * PBES2 (RFC 8018), hashed by OpenSSL: the library hashes a password so slowly that everything else would wait for
 * seconds. Undefined for another algorithm.
 * @param secret With the count that was bounded, whatever else the file may say in that place.
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
  // Between the salt and the digest stand the count and, if given, the length of the key, of which the cipher has one.
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

/** OpenSSL has it no longer, unless it is told to load what is old. */
function decryptDes(key: Buffer, iv: string, encrypted: string): string {
  const { cipher, util } = forge();
  const decipher = cipher.createDecipher('DES-CBC', key.toString('binary'));
  decipher.start({ iv });
  decipher.update(util.createBuffer(encrypted));
  if (!decipher.finish()) throw new Error('another password');
  return decipher.output.getBytes();
}

/** In every algorithm there is, the count follows the salt. */
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

/** Some writers cut long ones into pieces. */
function octetsOf(node: Asn1 | undefined): string {
  if (node === undefined) throw new Error('no content');
  return typeof node.value === 'string' ? node.value : node.value.map(octetsOf).join('');
}
