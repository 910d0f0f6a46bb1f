import { parentPort, workerData } from 'node:worker_threads';
import forge from 'node-forge';

/** Key Vault gives such files without a password; writers differ in whether that is an empty one or none. */
const PASSWORDS = ['', undefined];

/**
 * The certificates in a PKCS#12 file (RFC 7292), DER; undefined when it is none or needs a password. node-forge
 * understands no keys but RSA, and gives back the structure of those certificates that it does not know.
 */
function certificatesIn(file: Uint8Array): readonly Uint8Array[] | undefined {
  const bytes = Buffer.from(file).toString('binary');
  for (const password of PASSWORDS) {
    try {
      const pfx = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(bytes), password);
      return bagsOf(pfx).map(derOf);
    } catch (error) {
      if (!(error instanceof Error)) throw error; // its errors are plain ones
    }
  }
  return undefined;
}

function bagsOf(pfx: forge.pkcs12.Pkcs12Pfx): readonly forge.pkcs12.Bag[] {
  const { certBag = '' } = forge.pki.oids;
  return pfx.getBags({ bagType: certBag })[certBag] ?? [];
}

function derOf({ cert, asn1 }: forge.pkcs12.Bag): Uint8Array {
  const tree = cert === undefined || cert === null ? asn1 : forge.pki.certificateToAsn1(cert);
  return Buffer.from(forge.asn1.toDer(tree).getBytes(), 'binary');
}

parentPort?.postMessage(certificatesIn(workerData));
