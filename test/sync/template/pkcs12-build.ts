import { createPrivateKey, X509Certificate } from 'node:crypto';
import forge from 'node-forge';

const { asn1, pki } = forge;
const { Class, Type } = asn1;
type Asn1 = forge.asn1.Asn1;

const OID = {
  data: '1.2.840.113549.1.7.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509: '1.2.840.113549.1.9.22.1',
} as const;

export interface Contents {
  /** The certificates as PEM, in the order of the file. */
  readonly certificates: readonly string[];
  /**
   * The private key as PEM, encrypted with 3DES and the password. `undefined` means no password, which differs from an
   * empty password. Windows writes files without a password.
   */
  readonly key?: {
    readonly pem: string;
    readonly password: string | undefined;
    /** Encrypts with PBES2 and this cipher. The types of the library lack `des`. */
    readonly under?: { readonly algorithm: string; readonly prfAlgorithm: string; readonly count?: number };
    /** The number of copies of the key in the file. Default: 1. */
    readonly copies?: number;
  };
}

/** Builds a PKCS#12 file with unencrypted certificates. */
export function pkcs12Of({ certificates, key }: Contents): Buffer {
  const bags = certificates.map((pem) =>
    sequence(
      oid(OID.certBag),
      tagged(sequence(oid(OID.x509), tagged(octets(new X509Certificate(pem).raw.toString('binary'))))),
    ),
  );
  if (key !== undefined) {
    const bag = sequence(oid(OID.shroudedKeyBag), tagged(encrypted(key)));
    bags.push(...Array.from({ length: key.copies ?? 1 }, () => bag));
  }
  const version = asn1.create(Class.UNIVERSAL, Type.INTEGER, false, '\u0003');
  const file = sequence(version, contentOf(sequence(contentOf(sequence(...bags)))));
  return Buffer.from(der(file), 'binary');
}

function encrypted({ pem, password, under }: NonNullable<Contents['key']>): Asn1 {
  const pkcs8 = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' }).toString('binary');
  const how = { algorithm: '3des', ...under } as forge.pki.EncryptionOptions;
  return pki.encryptPrivateKeyInfo(asn1.fromDer(pkcs8), password as string, how);
}

function contentOf(node: Asn1): Asn1 {
  return sequence(oid(OID.data), tagged(octets(der(node))));
}

function sequence(...members: Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, members);
}

function tagged(member: Asn1): Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, 0, true, [member]);
}

function octets(bytes: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, bytes);
}

function oid(text: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(text).getBytes());
}

function der(node: Asn1): string {
  return asn1.toDer(node).getBytes();
}
