import { describe, expect, it } from 'vitest';
import { openBench } from '../../cli/harness.ts';
import { openAzureStore } from '../../integration/e2e/azure-store.ts';

// For up to 76 seconds after a deletion, Key Vault may deny that a secret exists, at both of its addresses.

const SECOND = 1_000;

interface Target {
  readonly secret: string;
  readonly outcome: string;
  readonly code?: string;
  readonly remedy?: string;
}

/** Commands with a manual clock, on a vault that follows the same clock. */
async function openVault(mapping: string) {
  await using stack = new AsyncDisposableStack();
  let now = () => Date.now();
  const { server, store, env } = stack.use(await openAzureStore({ now: () => now() }));
  const bench = stack.use(
    await openBench(`apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
absence: { readings: 1, over: 0s }
stores: [ ${JSON.stringify({ name: 'az', ...store })} ]
mappings:
  - name: a
    target: { namespace: apps }
${mapping}
  - { name: other, target: { namespace: apps }, data: { O: { store: az, key: other } } }
`),
  );
  now = bench.clock.now;
  server.deletionLagMs = 76 * SECOND;
  for (const name of ['db', 'other']) server.secrets.put(name, `value of ${name}`);
  const run = async (...args: readonly string[]) =>
    (await bench.runWith({ env }, ...args, '--output', 'json')).json;
  const targets = async (...args: readonly string[]) =>
    (await run(...args, '--mapping', 'a')) as { readonly targets: readonly Target[] };
  const outcome = async (...args: readonly string[]) => {
    const [target] = (await targets(...args)).targets;
    return target?.code ?? target?.outcome;
  };
  await run('sync', '--mapping', 'other');
  const owned = stack.move();
  return {
    server,
    bench,
    pass: (seconds: number) => bench.clock.advance(seconds * SECOND),
    sync: () => outcome('sync'),
    plan: async () => (await targets('plan')).targets[0],
    async doctor() {
      const { checks } = (await run('doctor')) as {
        readonly checks: readonly { readonly name: string; readonly code?: string }[];
      };
      return checks.find(({ name }) => name.includes('sync apps/a'))?.code;
    },
    manifest: () => bench.read('cluster/apps/a.yaml'),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const DELETING = `    onSourceMissing: delete
    data: { P: { store: az, key: db } }`;
const OPTIONAL = `    data: { O: { store: az, key: other }, P: { store: az, key: db, optional: true } }`;

describe('the absence of a source in Key Vault', () => {
  it('a target is never removed while the vault denies a secret that can be recovered', async () => {
    await using vault = await openVault(DELETING);
    const { server, sync, pass } = vault;
    expect(await sync()).toBe('created');
    server.secrets.remove('db');
    for (let second = 0; second < 75; second += 25) {
      expect(await sync()).toBe('SOURCE_ABSENT');
      await pass(25);
    }
    await pass(1);
    expect(await sync()).toBe('SOURCE_DELETED');
  });

  it('an absence is proved by two reads that are two minutes apart, even if `readings` and `over` ask for less', async () => {
    await using vault = await openVault(DELETING);
    const { server, sync, plan, pass } = vault;
    expect(await sync()).toBe('created');
    server.secrets.remove('db');
    server.secrets.purge('db');
    expect(await sync()).toBe('SOURCE_ABSENT');
    await pass(119);
    expect(await sync()).toBe('SOURCE_ABSENT');
    expect((await plan())?.code).toBe('SOURCE_ABSENT');
    await pass(1);
    expect(await sync()).toBe('deleted');
  });

  it('a new target without an optional source is written only after a second read', async () => {
    await using vault = await openVault(OPTIONAL);
    const { server, sync, plan, doctor, pass, manifest } = vault;
    server.secrets.remove('db');
    server.secrets.purge('db');
    expect(await sync()).toBe('SOURCE_ABSENT');
    await pass(119);
    expect(await plan()).toMatchObject({ code: 'SOURCE_ABSENT', remedy: expect.stringContaining('120 s') });
    expect(await doctor()).toBe('SOURCE_ABSENT');
    await expect(manifest()).rejects.toThrow('ENOENT');
    await pass(1);
    expect(await sync()).toBe('created');
    expect(await doctor()).toBeUndefined();
    expect(await manifest()).not.toContain(' P:');
  });

  it('a new target waits while its optional source is only deleted, and has its key after the recovery', async () => {
    await using vault = await openVault(OPTIONAL);
    const { server, sync, pass, manifest } = vault;
    server.secrets.remove('db');
    expect(await sync()).toBe('SOURCE_ABSENT');
    await pass(120);
    expect(await sync()).toBe('SOURCE_DELETED');
    server.secrets.recover('db');
    expect(await sync()).toBe('SOURCE_ABSENT');
    await pass(120);
    expect(await sync()).toBe('created');
    expect(await manifest()).toContain(' P:');
  });

  it('an existing target does not wait for an optional source that was added to it', async () => {
    await using vault = await openVault('    data: { O: { store: az, key: other } }');
    const { server, bench, sync } = vault;
    expect(await sync()).toBe('created');
    server.secrets.remove('db');
    const config = await bench.read('secretbridge.yaml');
    const before = 'data: { O: { store: az, key: other } }\n';
    await bench.write('secretbridge.yaml', config.replace(before, `${OPTIONAL.trim()}\n`));
    server.secrets.put('other', 'second');
    expect(await sync()).toBe('updated');
  });
});
