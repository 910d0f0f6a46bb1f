import type { StoresDeps } from '../../app/stores.ts';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import { createEntraVerifier } from '../../events/entra.ts';
import { createStorePolicy } from '../../providers/policy.ts';
import type { SecretProvider } from '../../providers/provider.ts';

export interface EventChecksDeps extends Pick<StoresDeps, 'clock' | 'fingerprints' | 'credential'> {
  readonly open: (store: string) => Promise<SecretProvider>;
  /** Stores for which a failure has been reported. */
  readonly broken: ReadonlySet<string>;
  readonly attempt: (name: string, work: () => Promise<unknown>) => Promise<unknown>;
  readonly signal?: AbortSignal | undefined;
}

/** Tests whether events would arrive. Connects to every event source, but consumes no waiting events. */
export async function checkEvents(config: Config, deps: EventChecksDeps): Promise<void> {
  const { events, stores } = config;
  const { broken, attempt, credential, clock } = deps;
  const storeOf = (name: string) => stores.find((store) => store.name === name && !broken.has(name));
  for (const { name, store, queueUrl } of events?.sqs ?? []) {
    const awsStore = storeOf(store);
    if (awsStore?.kind === 'aws-secrets-manager' || awsStore?.kind === 'aws-parameter-store')
      await attempt(`events ${name}: queue`, () => checkQueue(awsStore, queueUrl, deps));
  }
  for (const { name, store } of events?.vault ?? [])
    if (storeOf(store) !== undefined)
      await attempt(`events ${name}: stream`, async () => checkStream(await deps.open(store), deps.signal));
  for (const { name, store, key, entra } of events?.eventGrid ?? []) {
    if (key !== undefined) await attempt(`events ${name}: key`, () => credential(key));
    const eventStore = stores.find((candidate) => candidate.name === store);
    if (entra !== undefined && eventStore?.kind === 'azure-key-vault')
      await attempt(`events ${name}: keys of Microsoft Entra`, () =>
        createEntraVerifier(entra, { vaultUrl: eventStore.vaultUrl, clock }).loadKeys(),
      );
  }
  for (const { name, secret } of events?.webhooks ?? [])
    await attempt(`events ${name}: secret`, () => credential(secret));
}

type AwsStore = Extract<Config['stores'][number], { kind: 'aws-secrets-manager' | 'aws-parameter-store' }>;

async function checkQueue(store: AwsStore, queueUrl: string, deps: EventChecksDeps): Promise<void> {
  const { clock, fingerprints, credential, signal } = deps;
  const { openMessageQueue } = await import('../../providers/aws/queue.ts');
  const { limit } = createStorePolicy({ limits: store.limits });
  await using queue = await openMessageQueue(store, queueUrl, {
    name: store.name,
    clock,
    fingerprints,
    credential,
    limit,
  });
  await queue.check(signal);
}

/** Succeeds as soon as the stream is connected. */
async function checkStream(provider: SecretProvider, signal: AbortSignal | undefined): Promise<void> {
  if (provider.subscribe === undefined)
    throw new AppError('CONFIG_INVALID', { detail: 'stores of this kind send no change events' });
  const connected = new AbortController();
  const listener = {
    onOpen: () => connected.abort(new AppError('INTERRUPTED')),
    onAlive: () => undefined,
    onMessage: () => undefined,
  };
  try {
    const stop = signal === undefined ? connected.signal : AbortSignal.any([signal, connected.signal]);
    await provider.subscribe(listener, { signal: stop });
  } catch (error) {
    if (error !== connected.signal.reason) throw error;
  }
}
