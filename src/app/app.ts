import { randomUUID } from 'node:crypto';
import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { createAccess } from '../config/access.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { createFingerprinter, type Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Logger } from '../log/logger.ts';
import { type CredentialSources, type Reference, resolveCredential } from '../providers/credentials.ts';
import { createReader } from '../providers/reader.ts';
import { isProvenAbsent } from '../reconcile/absence.ts';
import type { DecideDeps } from '../reconcile/decide.ts';
import { createRecorder, type Recorder } from '../reconcile/recorder.ts';
import { openAudit } from './audit.ts';
import { openCluster } from './cluster.ts';
import { fingerprintKey } from './keys.ts';
import { secretRefsOf } from './secret-refs.ts';
import { createStores, type Stores } from './stores.ts';
import { resolveTargets, unresolvedTargets, type Wanted, wantedIndex } from './targets.ts';

export interface AppDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly actor: Actor;
  /** Told of each credential, so that no log line can hold it. */
  readonly onCredential: (value: SecretValue) => void;
  /** Unique to this process. */
  readonly replica: string;
}

/** Everything that a command works with; closed by `await using`. */
export interface App extends AsyncDisposable {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly audit: AuditStore;
  readonly cluster: Cluster;
  readonly stores: Stores;
  /** As the last pass found them. */
  readonly targets: readonly Wanted[];
  /** This instance and those that it was before. */
  readonly instances: readonly string[];
  readonly fingerprints: Fingerprinter;
  /**
   * What one pass over targets needs: shared reads, one request id, one recorder. Begins with a look at the
   * namespaces that selectors choose, so that new ones are served. The signal ends its reads.
   */
  pass(
    signal?: AbortSignal,
  ): Promise<DecideDeps & { readonly cluster: Cluster; readonly recorder: Recorder; readonly clock: Clock }>;
}

/** The composition root: the only place that builds parts and puts them together. */
export async function openApp(config: Config, deps: AppDeps): Promise<App> {
  await using stack = new AsyncDisposableStack();
  const { clock, env, logger } = deps;
  const cluster = stack.use(await openCluster(config.cluster, { env, clock }));
  const credential = credentialsOf(deps, (name, key) => cluster.ownSecret(name, key));

  const make = config.audit.store.kind === 'sqlite';
  const fingerprints = createFingerprinter(
    await fingerprintKey(config.keys.fingerprint, { make, credential }),
  );
  const audit = stack.use(await openAudit(config, { clock, replica: deps.replica }));
  const stores = stack.use(createStores(config.stores, { clock, fingerprints, credential }));
  let targets = unresolvedTargets(config.mappings);
  const ownNamespace = guardedNamespace(config, cluster);
  const access = createAccess(config);
  const owned = stack.move();

  return {
    config,
    clock,
    logger,
    audit,
    cluster,
    stores,
    get targets() {
      return targets;
    },
    instances: [config.instance, ...config.formerInstances],
    fingerprints,
    async pass(signal) {
      targets = await resolveTargets(config.mappings, cluster, ownNamespace);
      const recorder = createRecorder({
        audit,
        actor: deps.actor,
        requestId: randomUUID(),
        fingerprints,
        stores: stores.definitions,
        clock,
      });
      const reader = createReader({
        open: (store) => stores.open(store),
        onRead: (source, result) => recorder.read(source, result),
        signal,
      });
      return {
        instance: config.instance,
        formerInstances: config.formerInstances,
        cluster,
        fingerprints,
        stores: stores.definitions,
        clock,
        recorder,
        // What a mapping may not have, it does not claim from others.
        wants: wantedIndex(
          targets.filter(({ mapping, id }) =>
            access.allowsNamespace({ mapping: mapping.name, namespace: id.namespace }),
          ),
        ),
        provenAbsent: (source, { softDeletedIsMissing }) => {
          const codes = ['SOURCE_ABSENT', ...(softDeletedIsMissing ? ['SOURCE_DELETED'] : [])];
          const definition = stores.definitions.get(source.store);
          return isProvenAbsent(audit, source, definition, { codes, ...config.absence });
        },
        read: (refs) => reader.read(refs),
        find: (store, query) => reader.find(store, query),
        allows: (use) => use.namespace !== ownNamespace && access.allows(use),
        allowsSearch: (use) => use.namespace !== ownNamespace && access.allowsSearch(use),
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Credentials by reference, from wherever it says. */
export function credentialsOf(
  { env, onCredential }: Pick<AppDeps, 'env' | 'onCredential'>,
  secret: NonNullable<CredentialSources['secret']>,
): (reference: Reference) => Promise<SecretValue> {
  return async (reference) => {
    const value = await resolveCredential(reference, { env, secret });
    onCredential(value);
    return value;
  };
}

/**
 * The namespace that holds the bridge's own credentials, which no mapping may write to. Outside a cluster that is
 * the namespace of the kubeconfig's context, and only when a `secretRef` reads from it.
 */
export function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}
