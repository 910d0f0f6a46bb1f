import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';

export interface Issued {
  /** In PEM format. */
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  /** The DNS names and IPv4 addresses in the certificate. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The type of the certificate's own key. The authority always signs with ECDSA. */
  readonly keyType?: 'ec' | 'rsa' | 'ed25519';
}

export interface Authority {
  readonly ca: string;
  /** The private key of the authority. */
  readonly key: string;
  issue(options?: IssueOptions): Issued;
  /** Creates an intermediate authority whose certificate this authority signs. */
  intermediate(name: string): Authority;
}

const DAY_MS = 86_400_000;

/** Creates a certificate authority for tests (X.509 v3, RFC 5280, ECDSA P-256). Uses only modules of Node. */
export function createAuthority(name = 'Test CA'): Authority {
  const { publicKey, privateKey } = keyPair();
  return authority(name, privateKey, {
    subject: name,
    issuer: name,
    key: publicKey,
    signer: privateKey,
    isAuthority: true,
  });
}

function authority(name: string, signer: KeyObject, own: Contents): Authority {
  return {
    ca: certificate(own),
    key: pem(signer),
    intermediate(subject) {
      const { publicKey, privateKey } = keyPair();
      return authority(subject, privateKey, {
        subject,
        issuer: name,
        key: publicKey,
        signer,
        isAuthority: true,
      });
    },
    issue(options = {}) {
      const { publicKey, privateKey } = keyPair(options.keyType);
      const cert = certificate({
        ...options,
        subject: 'server',
        issuer: name,
        key: publicKey,
        signer,
      });
      return { cert, key: pem(privateKey) };
    },
  };
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function keyPair(type: IssueOptions['keyType'] = 'ec') {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (type === 'ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

interface Contents extends IssueOptions {
  readonly subject: string;
  readonly issuer: string;
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly isAuthority?: boolean;
}

function certificate(contents: Contents): string {
  const { names = [], isAuthority = false, key, signer } = contents;
  const { notBefore = new Date(Date.now() - DAY_MS), notAfter = new Date(Date.now() + DAY_MS) } = contents;
  const algorithm = sequence(oid('2a8648ce3d040302')); // this OID means ecdsa-with-SHA256
  const extensions = [
    sequence(oid('551d13'), boolean(true), octets(isAuthority ? sequence(boolean(true)) : sequence())),
    ...(names.length === 0 ? [] : [sequence(oid('551d11'), octets(sequence(...names.map(generalName))))]),
  ];
  const body = sequence(
    tagged(0xa0, integer(Buffer.of(2))), // 2 means version 3
    integer(Buffer.concat([Buffer.of(0x01), randomBytes(8)])),
    algorithm,
    distinguishedName(contents.issuer),
    sequence(time(notBefore), time(notAfter)),
    distinguishedName(contents.subject),
    key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', body, signer);
  const der = sequence(body, algorithm, tagged(0x03, Buffer.concat([Buffer.of(0), signature])));
  return new X509Certificate(der).toString();
}

function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { byteLength: size } = content;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => tagged(0x30, ...parts);
const integer = (bytes: Uint8Array) => tagged(0x02, bytes);
const octets = (bytes: Uint8Array) => tagged(0x04, bytes);
const boolean = (value: boolean) => tagged(0x01, Buffer.of(value ? 0xff : 0));
const oid = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'));

function distinguishedName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(commonName)))));
}

function generalName(name: string): Buffer {
  const isAddress = /^\d+(\.\d+){3}$/.test(name);
  return isAddress ? tagged(0x87, Buffer.from(name.split('.').map(Number))) : tagged(0x82, Buffer.from(name));
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '');
  return tagged(0x18, Buffer.from(digits)); // 0x18 is the tag of GeneralizedTime
}
