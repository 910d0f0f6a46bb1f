import { describe, expect, it } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { createIntakeHealth } from '../../src/commands/serve/intake-health.ts';
import { openIntakes } from '../../src/commands/serve/intakes.ts';
import type { Config } from '../../src/config/config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { Hint } from '../../src/events/hint.ts';
import { createLoops } from '../../src/service/liveness/loops.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { HEAD, loadText } from '../config/memory-fs.ts';
import { labelUpdated } from '../events/aws-events.ts';
import { AwsError } from '../fakes/aws-operations.ts';
import { type SqsServer, startSqsServer } from '../fakes/sqs-server.ts';
import { waitUntil } from '../wait-until.ts';

const STORES = `stores:
  - { name: aws, kind: aws-secrets-manager, region: eu-west-1, auth: { method: static, accessKeyId: { env: ID }, secretAccessKey: { env: KEY } } }
  - { name: azure, kind: azure-key-vault, vaultUrl: 'https://contoso.vault.azure.net' }
`;
const sqs = (name: string, { queueUrl }: SqsServer) =>
  `{ name: ${name}, queueUrl: '${queueUrl}', store: aws }`;

async function configOf(events: string, stores = STORES): Promise<Config> {
  const loaded = await loadText(`${HEAD}${stores}${events === '' ? '' : `events: { ${events} }\n`}`);
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

async function open(events: string) {
  const state = {
    config: await configOf(events),
    hints: [] as Hint[],
    lines: [] as string[],
    counts: [] as string[],
  };
  const loops = createLoops({ now: () => performance.now() });
  const note = (message: string) => void state.lines.push(message);
  const logger: Logger = { ...silentLogger, warn: note, info: note };
  const app = {
    get config() {
      return state.config;
    },
    clock: systemClock,
    logger,
    fingerprints: createFingerprinter(SecretValue.fromBytes(new Uint8Array(32))),
  } as App;
  const health = createIntakeHealth(systemClock);
  const intakes = await openIntakes(app, {
    health,
    take(hints) {
      state.hints.push(...hints);
      return { targets: hints.length, unknown: hints.filter(({ keys }) => keys.includes('unknown')).length };
    },
    loops,
    metrics: {
      event: (intake, outcome, count = 1) => void state.counts.push(`${intake} ${outcome} ${count}`),
      intakeUp: (intake, isUp) => void state.counts.push(`${intake} ${isUp ? 'up' : 'down'}`),
      intakeRemoved: (intake) => void state.counts.push(`${intake} gone`),
    },
    async credential(reference) {
      if (!('env' in reference)) throw new AppError('CREDENTIAL_MISSING');
      return SecretValue.fromText(reference.env);
    },
    random: () => 0,
  });
  return {
    state,
    intakes,
    health,
    loops: () => loops.states().map(({ name }) => name),
    async configure(next: string, stores?: string) {
      state.config = await configOf(next, stores);
      await intakes.refresh();
    },
    [Symbol.asyncDispose]: () => intakes[Symbol.asyncDispose](),
  };
}

const polled = (server: SqsServer) => waitUntil(() => expect(server.polls).toBe(1));

describe('event sources', () => {
  it('event sources fetch and count events, and report progress', async () => {
    await using server = await startSqsServer();
    await using setup = await open(`sqs: [ ${sqs('eu', server)} ]`);
    expect(setup.loops()).toEqual(['events eu']);
    server.send(JSON.stringify(labelUpdated('db')));
    server.send(JSON.stringify(labelUpdated('unknown')));
    await waitUntil(() => expect(setup.state.hints).toHaveLength(2));
    await waitUntil(() => expect(setup.state.counts.toSorted().at(-1)).toBe('eu up'));
    expect(setup.state.counts.filter((text) => /taken|unknown/.test(text)).length).toBeGreaterThan(1);
  });

  it('event sources log the start and the end of a failure once each', async () => {
    await using server = await startSqsServer();
    server.faults.push(...Array.from({ length: 3 }, () => new AwsError('InternalError', 500)));
    await using setup = await open(`sqs: [ ${sqs('eu', server)} ]`);
    await polled(server);
    server.send(JSON.stringify(labelUpdated('db')));
    await waitUntil(() => expect(setup.state.lines).toHaveLength(2));
    expect(setup.state.lines).toEqual(['events cannot be fetched; retrying', 'events are fetched again']);
    expect(setup.state.counts.slice(0, 3)).toEqual(['eu down', 'eu down', 'eu down']);
  });

  it('event sources keep running while other event sources are added and removed', async () => {
    await using one = await startSqsServer();
    await using two = await startSqsServer();
    await using setup = await open(`sqs: [ ${sqs('one', one)} ]`);
    await polled(one);
    await setup.configure(`sqs: [ ${sqs('two', two)}, ${sqs('one', one)} ]`);
    await polled(two);
    expect(setup.loops()).toEqual(['events one', 'events two']);
    await setup.configure(`sqs: [ ${sqs('one', one)} ]`);
    await waitUntil(() => expect(two.polls).toBe(0));
    expect(one.requests).toHaveLength(1);
    expect(setup.loops()).toEqual(['events one']);
    expect(setup.state.counts.filter((text) => text.includes('gone'))).toEqual(['two gone']);
  });

  it('the metrics of an event source are removed when an event source of another kind takes its name', async () => {
    await using server = await startSqsServer();
    await using setup = await open(`sqs: [ ${sqs('eu', server)} ]`);
    await polled(server);
    await setup.configure('webhooks: [ { name: eu, stores: [ aws ], secret: { env: S } } ]');
    expect(setup.state.counts.filter((text) => text.includes('gone'))).toEqual(['eu gone']);
  });

  it('event sources restart when their store or its credentials change', async () => {
    await using server = await startSqsServer();
    await using setup = await open(`sqs: [ ${sqs('eu', server)} ]`);
    await polled(server);
    await setup.configure(`sqs: [ ${sqs('eu', server)} ]`, STORES.replace('env: ID', 'env: OTHER'));
    await waitUntil(() =>
      expect(server.requests.map(({ accessKeyId }) => accessKeyId)).toEqual(['ID', 'OTHER']),
    );
    await setup.intakes.reset('azure');
    await setup.intakes.reset('aws');
    await waitUntil(() => expect(server.requests).toHaveLength(3));
    expect(setup.loops()).toEqual(['events eu']);
  });

  it('event sources for posted events are found by their kind and name', async () => {
    const grid = '{ name: grid, store: azure, key: { env: K } }';
    const ci = (stores: string) => `{ name: ci, stores: [ ${stores} ], secret: { env: S } }`;
    await using setup = await open(`webhooks: [ ${ci('aws')} ], eventGrid: [ ${grid} ]`);
    const { posted } = setup.intakes;
    const [hook, grids] = [posted.webhook('ci'), posted.eventGrid('grid')];
    expect([hook?.origin, grids?.origin]).toEqual([
      { kind: 'webhook', name: 'ci' },
      { kind: 'eventGrid', name: 'grid' },
    ]);
    expect([posted.webhook('grid'), posted.eventGrid('ci'), posted.webhook('__proto__')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    // The webhook must stay the same object, because it remembers the events it has received.
    await setup.configure(`webhooks: [ ${ci('aws')} ]`);
    expect(posted.webhook('ci')).toBe(hook);
    await setup.configure(`webhooks: [ ${ci('aws, azure')} ]`);
    expect(posted.webhook('ci')).not.toBe(hook);
    expect(posted.eventGrid('grid')).toBeUndefined();
    expect(setup.state.counts).toEqual(['grid gone']);
  });

  it('event sources report the last event and failures', async () => {
    await using server = await startSqsServer();
    const hook = (name: string, secret: string) =>
      `{ name: ${name}, stores: [ aws ], secret: { ${secret} } }`;
    await using setup = await open(
      `sqs: [ ${sqs('eu', server)} ], webhooks: [ ${hook('ci', 'env: S')}, ${hook('cd', 'file: ./none')} ]`,
    );
    await waitUntil(() =>
      expect(setup.health.states()).toEqual([
        { kind: 'sqs', name: 'eu', state: 'up' },
        { kind: 'webhook', name: 'cd', state: 'down', code: 'CREDENTIAL_MISSING' },
        { kind: 'webhook', name: 'ci', state: 'up' },
      ]),
    );
    server.send(JSON.stringify(labelUpdated('db')));
    await waitUntil(() => expect(setup.health.states()[0]?.lastEvent).toMatch(/^\d{4}-.*Z$/));
    server.faults.push(...Array.from({ length: 50 }, () => new AwsError('AccessDenied', 403)));
    server.send(JSON.stringify(labelUpdated('db')));
    await waitUntil(() =>
      expect(setup.health.states()[0]).toMatchObject({ state: 'down', code: 'ACCESS_DENIED' }),
    );
    await setup.configure('');
    expect(setup.health.states()).toEqual([]);
  });

  it('event sources close immediately and release all resources', async () => {
    await using server = await startSqsServer();
    const setup = await open(`sqs: [ ${sqs('eu', server)} ]`);
    await polled(server);
    await setup.intakes[Symbol.asyncDispose]();
    await waitUntil(() => expect(server.polls).toBe(0));
    expect(setup.loops()).toEqual([]);
  });
});
