import { describe, expect, it } from 'vitest';
import { checkEvents } from '../../src/commands/doctor/events.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { HEAD, openBench } from '../cli/harness.ts';
import { HEAD as EMPTY, loadText } from '../config/memory-fs.ts';
import { AwsError } from '../fakes/aws-operations.ts';
import { startAwsServer } from '../fakes/aws-server.ts';
import { startSqsServer } from '../fakes/sqs-server.ts';
import { startVaultEvents } from '../fakes/vault-events.ts';
import { startVaultServer } from '../fakes/vault-server.ts';

/** Returns the checks of `events`, as `<name> <code>`, and whether `doctor` passed. */
async function checks(stores: readonly string[], events: string, env: Readonly<Record<string, string>> = {}) {
  const head = HEAD.replace(/stores.*\n/, `stores: [ ${stores.join(', ')} ]\n`);
  await using bench = await openBench(`${head}events: { ${events} }\nmappings: []\n`);
  const { json } = await bench.runWith({ env, clock: systemClock }, 'doctor', '--output', 'json');
  const { ok, checks: all } = json as {
    ok: boolean;
    checks: readonly { name: string; code?: string; message?: string }[];
  };
  const eventChecks = all.filter(({ name }) => name.startsWith('events '));
  return { ok, lines: eventChecks.map(({ name, code = 'ok' }) => `${name}: ${code}`), eventChecks };
}

const LOCAL = '{ name: local, kind: files, path: ./store }';
const GRID_STORE = "{ name: azure, kind: azure-key-vault, vaultUrl: 'https://127.0.0.1:1' }";

describe('doctor with event sources', () => {
  it('`doctor` checks the keys of event sources that receive posted events', async () => {
    const events = `webhooks: [ { name: ci, stores: [ local ], secret: { env: HOOK } }, { name: cd, stores: [ local ], secret: { file: ./none } } ]`;
    const { ok, lines } = await checks([LOCAL], events, { HOOK: 'x' });
    expect([ok, lines]).toEqual([false, ['events ci: secret: ok', 'events cd: secret: CREDENTIAL_MISSING']]);
  });

  it('`doctor` checks the key of an event subscription even if its store is unreachable', async () => {
    const grid = 'events: { eventGrid: [ { name: g, store: azure, key: { env: GRID } } ] }';
    const loaded = await loadText(`${EMPTY}stores: [ ${GRID_STORE} ]\n${grid}\n`);
    if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems));
    const calls: unknown[] = [];
    await checkEvents(loaded.config, {
      clock: systemClock,
      fingerprints: createFingerprinter(SecretValue.fromBytes(new Uint8Array(32))),
      async credential(reference) {
        calls.push(reference);
        return SecretValue.fromText('x');
      },
      open: () => Promise.reject(new Error('not opened')),
      broken: new Set(['azure']),
      attempt: (name, work) => work().then(() => calls.push(name)),
    });
    expect(calls).toEqual([{ env: 'GRID' }, 'events g: key']);
  });

  it('`doctor` reports whether Vault has an event stream, and closes the stream', async () => {
    await using server = await startVaultServer();
    await using events = await startVaultEvents(server);
    const store = `{ name: team, kind: vault, address: '${events.address}', auth: { method: token, token: { env: TOKEN } } }`;
    const env = { TOKEN: server.rootToken };
    const look = () => checks([store], 'vault: [ { name: v, store: team } ]', env);
    expect(await look()).toMatchObject({ ok: true, lines: ['events v: stream: ok'] });
    expect(events.handshakes).toHaveLength(1);
    await expect.poll(() => events.streams).toBe(0);
    events.refuse = { status: 404 };
    expect((await look()).lines).toEqual(['events v: stream: CONFIG_INVALID']);
    // A problem of the store is reported only once.
    env.TOKEN = 'wrong';
    expect(await look()).toMatchObject({ ok: false, lines: [] });
  });

  it('`doctor` checks an event queue without consuming messages, and names the missing permission', async () => {
    await using aws = await startAwsServer({ region: 'eu-west-1', account: '123456789012' });
    await using sqs = await startSqsServer();
    sqs.send('waiting');
    const store = `{ name: aws, kind: aws-secrets-manager, region: eu-west-1, endpoint: '${aws.address}', auth: { method: static, accessKeyId: { env: ID }, secretAccessKey: { env: KEY } } }`;
    const env = { ID: aws.root.accessKeyId, KEY: aws.root.secretAccessKey };
    const look = () => checks([store], `sqs: [ { name: eu, queueUrl: '${sqs.queueUrl}', store: aws } ]`, env);
    expect(await look()).toMatchObject({ ok: true, lines: ['events eu: queue: ok'] });
    expect(sqs.size).toBe(1);
    const denied = new AwsError('AccessDenied', 403);
    sqs.faults.push('none', denied);
    const { lines, eventChecks } = await look();
    expect(lines).toEqual(['events eu: queue: ACCESS_DENIED']);
    expect(eventChecks[0]?.message).toContain('sqs:DeleteMessage');
    sqs.faults.push(new AwsError('com.amazonaws.sqs#QueueDoesNotExist'));
    expect((await look()).lines).toEqual(['events eu: queue: CONFIG_INVALID']);
  });
});
