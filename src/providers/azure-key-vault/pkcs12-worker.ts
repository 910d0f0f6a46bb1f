import { createPrivateKey, createPublicKey } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import forge from 'node-forge';
import { codeOf } from '../../core/system-errors.ts';
import type { Pkcs12Contents } from './pkcs12.ts';

/**
 * Key Vault returns files without a password. Depending on the program that wrote the file, this means an empty
 * password or none.
 */
const PASSWORDS = ['', undefined];

/**
 * Reads a PKCS#12 file (RFC 7292). Returns undefined if the file is not PKCS#12 or needs a password. node-forge only
 * understands RSA. For other keys and certificates, it returns their raw structure.
 */
function contentsOf(file: Uint8Array): Pkcs12Contents | undefined {
  const bytes = Buffer.from(file).toString('binary');
  for (const password of PASSWORDS) {
    try {
      const pfx = forge.pkcs12.pkcs12FromAsn1(withoutIntegrityCheck(forge.asn1.fromDer(bytes)), password);
      const { certBag = '', keyBag = '', pkcs8ShroudedKeyBag = '' } = forge.pki.oids;
      const [key] = [...bagsOf(pfx, pkcs8ShroudedKeyBag), ...bagsOf(pfx, keyBag)];
      return { certificates: bagsOf(pfx, certBag).map(derOf), publicKey: key && publicOf(key) };
    } catch (error) {
      if (!(error instanceof Error)) throw error; // node-forge throws plain errors without a code
    }
  }
  return undefined;
}

/**
 * Skips the integrity check, as templates do. The store is trusted, and node-forge does not support every algorithm
 * (PBMAC1, RFC 9579).
 */
function withoutIntegrityCheck(pfx: forge.asn1.Asn1): forge.asn1.Asn1 {
  return typeof pfx.value === 'string' ? pfx : { ...pfx, value: pfx.value.slice(0, 2) };
}

function bagsOf(pfx: forge.pkcs12.Pkcs12Pfx, bagType: string): readonly forge.pkcs12.Bag[] {
  return pfx.getBags({ bagType })[bagType] ?? [];
}

function derOf({ cert, asn1 }: forge.pkcs12.Bag): Uint8Array {
  return bytesOf(cert === undefined || cert === null ? asn1 : originalCertificate(cert));
}

/**
 * Rebuilds the original certificate. node-forge changes the parameters of the signature algorithm, which invalidates
 * the signature. The signed part still contains the original algorithm.
 */
function originalCertificate({ tbsCertificate, signature }: forge.pki.Certificate): forge.asn1.Asn1 {
  const { asn1 } = forge;
  const { Class, Type } = asn1;
  const isAlgorithm = ({ tagClass, type }: forge.asn1.Asn1) =>
    tagClass === Class.UNIVERSAL && type === Type.SEQUENCE;
  const algorithm =
    typeof tbsCertificate.value === 'string' ? undefined : tbsCertificate.value.find(isAlgorithm);
  if (algorithm === undefined) throw new Error('a certificate without an algorithm');
  const bits = asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, `\0${signature}`);
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [tbsCertificate, algorithm, bits]);
}

/** Returns the public key as DER. Undefined if OpenSSL does not know the key type. */
function publicOf({ key, asn1 }: forge.pkcs12.Bag): Uint8Array | undefined {
  const { pki } = forge;
  const tree = key === undefined || key === null ? asn1 : pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(key));
  try {
    const privateKey = createPrivateKey({ key: bytesOf(tree), format: 'der', type: 'pkcs8' });
    return createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

function bytesOf(tree: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(tree).getBytes(), 'binary');
}

parentPort?.postMessage(contentsOf(workerData));
