import { describe, expect, it } from 'vitest';
import { openBench, type Result } from '../../cli/harness.ts';
import { openAzureStore } from '../../integration/e2e/azure-store.ts';

// In one vault, a secret and a key can have the same name. These tests run commands that read both.

const MINUTE = 60_000;

async function openVault(mappings: string) {
  await using stack = new AsyncDisposableStack();
  const { server, store, env } = stack.use(await openAzureStore());
  const config = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
absence: { readings: 3, over: 10m }
defaults: { onSourceMissing: delete }
stores: [ ${JSON.stringify({ name: 'az', ...store })} ]
mappings:
${mappings}`;
  const bench = stack.use(await openBench(config));
  server.secrets.put('ca', 'value');
  server.secrets.put('other', 'value');
  const run = async (...args: readonly string[]): Promise<Result> => {
    const done = await bench.runWith({ env }, ...args, '--output', 'json');
    await bench.clock.advance(6 * MINUTE);
    return done;
  };
  const owned = stack.move();
  return {
    server,
    /** Runs the command `sync`. Returns for each Secret name the outcome of its target, or its error code. */
    async sync(...args: readonly string[]) {
      const { json } = await run('sync', ...args);
      const { targets } = json as { targets: readonly { secret: string; outcome: string; code?: string }[] };
      return Object.fromEntries(targets.map(({ secret, outcome, code }) => [secret, code ?? outcome]));
    },
    async reads() {
      const { json } = await run('audit', 'list', '--action', 'read', '--limit', '50');
      const { records } = json as { records: readonly { outcome: string; note?: string }[] };
      return records.map(
        ({ outcome, note }) => `${outcome} ${/object key/.exec(note ?? '')?.[0] ?? 'secret'}`,
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe('a secret and a key with the same name', () => {
  it('does not count the absence of a key toward the deletion of a secret with the same name', async () => {
    await using vault = await openVault(`
  - name: a
    target: { namespace: apps }
    data: { J: { store: az, key: ca, object: key, optional: true }, L: { store: az, key: other } }
  - { name: b, target: { namespace: apps }, data: { V: { store: az, key: ca } } }
  - { name: c, target: { namespace: apps }, data: { L: { store: az, key: other } } }
`);
    const { server, sync } = vault;
    // A new target waits for a second read of its absent optional source.
    expect(await sync()).toEqual({ a: 'SOURCE_ABSENT', b: 'created', c: 'created' });
    expect(await sync('--mapping', 'a')).toEqual({ a: 'created' });
    for (let cycle = 0; cycle < 3; cycle += 1)
      expect(await sync('--mapping', 'a')).toEqual({ a: 'unchanged' });
    server.secrets.remove('ca');
    server.secrets.purge('ca');
    expect(await sync('--mapping', 'b')).toEqual({ b: 'SOURCE_ABSENT' });
    expect(await sync('--mapping', 'a')).toEqual({ a: 'unchanged' });
    expect(await sync('--mapping', 'b')).toEqual({ b: 'SOURCE_ABSENT' });
    expect(await sync('--mapping', 'b')).toEqual({ b: 'deleted' });
  });

  it('uses a secret and a key with the same name in one target, and records each read with a new version or a proof of absence', async () => {
    await using vault = await openVault(`
  - name: a
    target: { namespace: apps }
    data: { V: { store: az, key: ca }, J: { store: az, key: ca, object: key, optional: true } }
`);
    const { sync, reads } = vault;
    expect(await sync()).toEqual({ a: 'SOURCE_ABSENT' });
    expect(await sync()).toEqual({ a: 'created' });
    for (let cycle = 0; cycle < 2; cycle += 1) expect(await sync()).toEqual({ a: 'unchanged' });
    expect((await reads()).toSorted()).toEqual([...Array(3).fill('failed object key'), 'ok secret']);
  });
});
