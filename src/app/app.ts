import { randomUUID } from 'node:crypto';
import type { Actor } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { allows } from '../config/access.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Logger } from '../log/logger.ts';
import { type CredentialSources, type Reference, resolveCredential } from '../providers/credentials.ts';
import { createReader } from '../providers/reader.ts';
import type { DecideDeps } from '../reconcile/decide.ts';
import { createRecorder, type Recorder } from '../reconcile/recorder.ts';
import { openAudit } from './audit.ts';
import { openCluster } from './cluster.ts';
import { fingerprintKey } from './keys.ts';
import { secretRefsOf } from './secret-refs.ts';
import { createStores, type Stores } from './stores.ts';
import { targetsOf, type Wanted, wantedIndex } from './targets.ts';

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
  readonly targets: readonly Wanted[];
  /** What one pass over targets needs: shared reads, one request id, one recorder. The signal ends its reads. */
  pass(
    signal?: AbortSignal,
  ): DecideDeps & { readonly cluster: Cluster; readonly recorder: Recorder; readonly clock: Clock };
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
  const targets = targetsOf(config.mappings);
  const wants = wantedIndex(targets);
  const ownNamespace = guardedNamespace(config, cluster);
  const owned = stack.move();

  return {
    config,
    clock,
    logger,
    audit,
    cluster,
    stores,
    targets,
    pass(signal) {
      const recorder = createRecorder({
        audit,
        actor: deps.actor,
        requestId: randomUUID(),
        fingerprints,
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
        wants,
        read: (refs) => reader.read(refs),
        allows: (use) =>
          use.namespace !== ownNamespace && (config.access === undefined || allows(config.access, use)),
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
function guardedNamespace(config: Config, cluster: Cluster): string | undefined {
  return cluster.inCluster || secretRefsOf(config).length > 0 ? cluster.ownNamespace() : undefined;
}
