import type { App } from '../../app/app.ts';
import type { Config } from '../../config/config.ts';
import type { Intake, IntakeDeps, Origin } from '../../events/hint.ts';
import { startSqsIntake } from '../../events/sqs.ts';
import { startVaultIntake } from '../../events/vault.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import { createStorePolicy } from '../../providers/policy.ts';

type StoreConfig = Config['stores'][number];
type Entry<Kind extends 'sqs' | 'vault'> = NonNullable<Config['events']>[Kind][number];

/** A configured intake that polls a queue or subscribes to a stream. */
export interface PolledIntake {
  readonly origin: Origin;
  readonly store: StoreConfig;
  readonly entry: object;
  readonly start: (deps: IntakeDeps) => Intake;
}

export interface PolledIntakeDeps {
  readonly credential: ReadCredential;
  readonly random: () => number;
}

/** Limits for the requests of one intake. A poll waits for twenty seconds. */
const REQUEST_LIMITS = { requestsPerSecond: 50, concurrency: 4, timeoutMs: 30_000 };

/** Returns the intakes of the active configuration. Starts none of them. */
export function polledIntakesOf(app: App, deps: PolledIntakeDeps): readonly PolledIntake[] {
  const { events, stores } = app.config;
  // The configuration is valid, so the store exists and has the right kind.
  const withStore = <It extends { readonly store: string }>(
    entries: readonly It[] = [],
    create: (entry: It, store: StoreConfig) => PolledIntake | undefined,
  ): readonly PolledIntake[] =>
    entries.flatMap((entry) => {
      const store = stores.find(({ name }) => name === entry.store);
      return (store && create(entry, store)) ?? [];
    });
  return [
    ...withStore(events?.sqs, (entry, store) => sqsIntake(entry, store, app, deps)),
    ...withStore(events?.vault, (entry, store) => vaultIntake(entry, store, app, deps)),
  ];
}

function sqsIntake(
  entry: Entry<'sqs'>,
  store: StoreConfig,
  { clock, logger, fingerprints }: App,
  { credential, random }: PolledIntakeDeps,
): PolledIntake | undefined {
  if (store.kind !== 'aws-secrets-manager' && store.kind !== 'aws-parameter-store') return undefined;
  const { name, queueUrl } = entry;
  const open = async () => {
    const { openMessageQueue } = await import('../../providers/aws/queue.ts');
    const { limit } = createStorePolicy({ limits: REQUEST_LIMITS });
    return openMessageQueue(store, queueUrl, { name: store.name, clock, fingerprints, credential, limit });
  };
  const events = { kind: store.kind, region: store.region };
  const options = { name, store: store.name, events, open, logger, random };
  return { origin: { kind: 'sqs', name }, store, entry, start: (deps) => startSqsIntake(options, deps) };
}

function vaultIntake(
  entry: Entry<'vault'>,
  store: StoreConfig,
  { stores }: App,
  { random }: PolledIntakeDeps,
): PolledIntake {
  const { name } = entry;
  const options = { name, store: store.name, open: () => stores.open(store.name), random };
  return { origin: { kind: 'vault', name }, store, entry, start: (deps) => startVaultIntake(options, deps) };
}
