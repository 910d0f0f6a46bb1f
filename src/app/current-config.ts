import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { type Access, createAccess } from '../config/shape/access.ts';
import { resolveTargets, unresolvedTargets, type DesiredTarget, desiredIndex } from '../reconcile/targets.ts';
import { secretRefsOf } from './secret-refs.ts';

/** The configuration in force, and what it comes to in the cluster. */
export interface CurrentConfig {
  readonly config: Config;
  /** Its rules. */
  readonly access: Access;
  /** As the last look at the namespaces found them. */
  readonly targets: readonly DesiredTarget[];
  /** Whether a mapping claims one of them: what it may not have, it does not claim from others. */
  readonly claims: ReturnType<typeof desiredIndex>;
  /** Looks at the namespaces that selectors choose. */
  resolve(): Promise<readonly DesiredTarget[]>;
  /** Its targets stay those of the one before until they are looked for. */
  replace(next: Config): void;
}

export function createCurrentConfig(config: Config, cluster: Cluster): CurrentConfig {
  let current = config;
  const ownNamespace = (): string | undefined => guardedNamespace(current, cluster);
  let access = createAccess(config, ownNamespace);
  let targets = unresolvedTargets(config.mappings);
  const indexClaims = () =>
    desiredIndex(
      targets.filter(({ mapping, id }) =>
        access.allowsNamespace({ mapping: mapping.name, namespace: id.namespace }),
      ),
    );
  let wants = indexClaims();
  return {
    get config() {
      return current;
    },
    get access() {
      return access;
    },
    get targets() {
      return targets;
    },
    get claims() {
      return wants;
    },
    async resolve() {
      targets = await resolveTargets(current.mappings, cluster, ownNamespace());
      wants = indexClaims();
      return targets;
    },
    replace(next) {
      current = next;
      access = createAccess(next, ownNamespace);
    },
  };
}

/**
 * The namespace that holds the bridge's own credentials, which no mapping may write to. Outside a cluster that is the
 * namespace of the kubeconfig's context, and only when a `secretRef` reads from it.
 */
export function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}
