/** All exceptions of the documentation checks, each with its reason. An unused exception makes a test fail. */

/** Pages where names need not exist in the current program. Links and examples on these pages are still checked. */
export const HISTORICAL_PAGES: Readonly<Record<string, string>> = {
  'CHANGELOG.md': 'it describes the past',
  'docs/adr/': 'a decision describes the code of its time',
};

/**
 * Names that belong to other programs. The key is the page that may use them, and `*` means every page. Names that
 * occur in a code block of the same page need no entry.
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
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'an AWS SDK variable, which is ignored',
  },
  'docs/how-to/install-with-helm.md': { 'vault.vault.svc': 'a DNS name' },
  'docs/how-to/kind-and-minikube.md': {
    '--cni': 'minikube',
    'host.minikube.internal': 'a DNS name',
    'host.docker.internal': 'a DNS name',
  },
  'docs/how-to/move-from-external-secrets.md': {
    'auth.cert': 'External Secrets',
    'dataFrom.extract': 'External Secrets',
    'target.manifest': 'External Secrets',
  },
  'docs/how-to/gitops.md': { healthCheckExprs: 'Flux' },
  'docs/how-to/restart-workloads.md': {
    podManagementPolicy: 'Kubernetes',
    progressDeadlineSeconds: 'Kubernetes',
  },
  'docs/how-to/rotate-without-downtime.md': { maxLifetime: 'connection pools' },
  'docs/how-to/sign-in.md': { redirectURIs: 'Dex', staticClient: 'Dex' },
  'docs/how-to/several-replicas.md': { topologySpreadConstraints: 'Kubernetes' },
  'docs/how-to/traces.md': {
    OTEL_EXPORTER_OTLP_CERTIFICATE: 'OpenTelemetry',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'OpenTelemetry',
  },
  'docs/how-to/vault-store.md': { VAULT_SKIP_VERIFY: 'a Vault CLI variable, which is ignored' },
  'docs/benchmarks.md': { '--quick': '`npm run bench`' },
  'docs/reference/values.md': { aGVsbG8: 'an example of base64url', STRASSE: 'an example of `upcase`' },
};
