/**
 * What the checks of the documents let pass, all in one place, each with its reason. An entry that nothing needs any
 * more fails a test, so the lists do not outlive what they were made for.
 */

/** Pages whose names are not held against the program of today. Their links and examples are. */
export const HISTORICAL_PAGES: Readonly<Record<string, string>> = {
  'CHANGELOG.md': 'it says what was',
  'docs/adr/': 'a decision speaks of the code of its day',
};

/**
 * Names, options and words in capitals that belong to other programs, by the page that may use them; `*` is every page.
 * What stands in a block of the same page needs no entry.
 */
export const FOREIGN_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '*': {
    subPath: 'Kubernetes',
    subPathExpr: 'Kubernetes',
    syncFrequency: 'the kubelet',
    configMapAndSecretChangeDetectionStrategy: 'the kubelet',
    '--ignore-scripts': 'npm',
  },
  'docs/how-to/keep-the-audit.md': { 'audit.db.replicas': 'a file' },
  'docs/how-to/encrypt-secrets-at-rest.md': {
    '--encryption-provider-config': 'kube-apiserver',
    '--secrets-encryption': 'k3s',
  },
  'docs/how-to/identity-anywhere.md': {
    '--service-account-issuer': 'kube-apiserver',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'of the AWS SDKs, and not obeyed',
  },
  'docs/how-to/install-with-helm.md': { 'vault.vault.svc': 'a name in DNS' },
  'docs/how-to/kind-and-minikube.md': { '--cni': 'minikube' },
  'docs/how-to/move-from-external-secrets.md': {
    'auth.cert': 'External Secrets',
    'dataFrom.extract': 'External Secrets',
    'target.manifest': 'External Secrets',
  },
  'docs/how-to/rotate-without-downtime.md': { maxLifetime: 'pools of connections' },
  'docs/how-to/several-replicas.md': { topologySpreadConstraints: 'Kubernetes' },
  'docs/how-to/traces.md': {
    OTEL_EXPORTER_OTLP_CERTIFICATE: 'OpenTelemetry',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'OpenTelemetry',
  },
  'docs/how-to/vault-store.md': { VAULT_SKIP_VERIFY: 'of the Vault CLI, and not obeyed' },
  'docs/how-to/watch-the-bridge.md': { honor_labels: 'Prometheus' },
  'docs/benchmarks.md': { '--quick': '`npm run bench`' },
  'docs/reference/values.md': { aGVsbG8: 'an example of base64url', STRASSE: 'an example of `upcase`' },
};
