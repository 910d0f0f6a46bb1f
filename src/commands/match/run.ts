import { randomBytes } from 'node:crypto';
import { credentialsOf, openCluster } from '../../app/cluster.ts';
import type { AppDeps } from '../../app/deps.ts';
import { createStores } from '../../app/stores.ts';
import { createKubeClient, type KubeClient } from '../../cluster/client.ts';
import { listSecrets, type OwnedSecret } from '../../cluster/namespace-secrets.ts';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import { createFingerprinter } from '../../core/fingerprint.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { LABEL } from '../../sync/ownership-metadata.ts';
import { matchSecrets, type SecretMatch } from './match.ts';
import { readStoreValues } from './store-values.ts';

export interface MatchOptions {
  readonly store: string;
  /** Only keys below this path are read. */
  readonly path: string;
  readonly namespaces: readonly string[];
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly signal: AbortSignal;
}

export interface ClusterMatches {
  readonly matches: readonly (SecretMatch & Pick<OwnedSecret, 'owners'>)[];
  /** The number of keys of the store that were read. */
  readonly keys: number;
  /** One sentence for each key and namespace that could not be read. */
  readonly unreadable: readonly string[];
}

/** Secrets that Kubernetes and Helm write themselves. */
const FOREIGN_TYPES =
  /^(?:kubernetes\.io\/service-account-token|bootstrap\.kubernetes\.io\/token|helm\.sh\/release\.v1)$/;

/**
 * Compares the Secrets of namespaces with a store. Both are read with the rights of the caller. Only fingerprints of
 * the values are kept, under a key that is forgotten at the end. Nothing is written.
 */
export async function matchCluster(
  config: Config,
  deps: AppDeps,
  { store, path, namespaces, kubeconfig, context, signal }: MatchOptions,
): Promise<ClusterMatches> {
  const { env, clock } = deps;
  await using stack = new AsyncDisposableStack();
  const fingerprints = createFingerprinter(SecretValue.fromBytes(randomBytes(32)));
  const cluster = stack.use(await openCluster(config.cluster, { ...deps, stop: signal }));
  const credential = credentialsOf(deps, async (name, key) => cluster.ownSecret(name, key));
  const stores = stack.use(createStores(config.stores, { clock, fingerprints, credential }));
  const client = stack.use(await createKubeClient({ env, clock, kubeconfig, context }));
  const { secrets, unreadable } = await secretsOf(client, namespaces, signal);
  const fingerprint = (value: SecretValue) => fingerprints.value(value);
  const values = await readStoreValues(await stores.open(store), { store, path, fingerprint, signal });
  const owners = new Map(secrets.map((secret) => [secret.live, secret.owners]));
  const matches = matchSecrets(
    secrets.map(({ live }) => live),
    { places: values.places, fingerprint },
  );
  return {
    matches: matches.map((match) => ({ ...match, owners: owners.get(match.live) ?? [] })),
    keys: values.keys,
    unreadable: [...unreadable, ...values.unreadable],
  };
}

async function secretsOf(
  client: KubeClient,
  namespaces: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly secrets: readonly OwnedSecret[]; readonly unreadable: readonly string[] }> {
  const secrets: OwnedSecret[] = [];
  const unreadable: string[] = [];
  for (const namespace of namespaces)
    try {
      for (const secret of await listSecrets(client, namespace, signal))
        if (isCandidate(secret)) secrets.push(secret);
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'CLUSTER_FORBIDDEN')) throw error;
      unreadable.push(`no permission to list Secrets in namespace ${namespace}`);
    }
  return { secrets, unreadable };
}

/** Leaves out Secrets that already have a mapping, and Secrets without a source in a store. */
function isCandidate({ live: { type, labels, data, deleting } }: OwnedSecret): boolean {
  return !deleting && data.size > 0 && !FOREIGN_TYPES.test(type) && labels[LABEL.mapping] === undefined;
}
