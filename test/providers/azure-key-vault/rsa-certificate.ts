import forge from 'node-forge';

/** Creates a certificate with an RSA key as PEM. Applications in Entra ID use such certificates. */
export function rsaCertificate(): { readonly certificate: string; readonly key: string } {
  const { pki } = forge;
  const pair = pki.rsa.generateKeyPair(2048);
  const certificate = pki.createCertificate();
  certificate.publicKey = pair.publicKey;
  certificate.validity.notAfter.setFullYear(certificate.validity.notBefore.getFullYear() + 1);
  certificate.setSubject([{ name: 'commonName', value: 'bridge' }]);
  certificate.setIssuer([{ name: 'commonName', value: 'bridge' }]);
  certificate.sign(pair.privateKey, forge.md.sha256.create());
  const lines = (pem: string) => pem.replaceAll('\r\n', '\n');
  return {
    certificate: lines(pki.certificateToPem(certificate)),
    key: lines(pki.privateKeyInfoToPem(pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(pair.privateKey)))),
  };
}
