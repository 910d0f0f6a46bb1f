import { describe, expect, it } from 'vitest';
import type { AzureServer } from '../../fakes/azure-server/server.ts';
import { openAzureStore } from './azure-store.ts';
import { COUNT, expectAgreement, names, openScene, outcomes, type Scene } from './preflight-scene.ts';

// Key Vault lists contain no versions. A new process therefore relies on the read records in the audit.

const HOUR_MS = 3_600_000;

interface AzureScene extends Scene {
  readonly server: AzureServer;
  /** Advances the clock of the vault. */
  advance(ms: number): void;
  /**
   * Returns the requests since the previous call of this function: the keys that were read, and whether pages were
   * listed.
   */
  takeRequests(): { readonly reads: readonly string[]; readonly lists: boolean };
}

async function openAzure(): Promise<AzureScene> {
  await using stack = new AsyncDisposableStack();
  let offsetMs = 0;
  const { server, store, env } = stack.use(await openAzureStore({ now: () => Date.now() + offsetMs }));
  for (const name of names) server.secrets.put(name, `value of ${name}`);
  const scene = stack.use(await openScene(store, env));
  const owned = stack.move();
  return {
    ...scene,
    server,
    advance(ms) {
      offsetMs += ms;
    },
    takeRequests() {
      const lines = server.requests.splice(0);
      const reads = new Set(lines.flatMap((line) => /^vault GET \/secrets\/([^/]+)/.exec(line)?.[1] ?? []));
      return { reads: [...reads].sort(), lists: lines.includes('vault GET /secrets') };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe('a one-shot sync of Azure', () => {
  it('lists keys, and reads only the keys that changed since another process read them', async () => {
    await using scene = await openAzure();
    const { server, advance, takeRequests } = scene;
    advance(HOUR_MS);
    expect((await scene.sync()).summary).toMatchObject({ created: COUNT });
    expect(takeRequests().reads).toEqual(names.toSorted());
    const { length } = await scene.records('--action', 'read');
    expect((await scene.sync()).summary).toMatchObject({ unchanged: COUNT });
    expect(takeRequests()).toEqual({ reads: [], lists: true });

    server.secrets.put('m0', 'second');
    server.secrets.update('m1', { tags: { team: 'blue' } });
    server.secrets.update('m2', { enabled: false });
    server.secrets.remove('m3');
    advance(HOUR_MS);
    const done = outcomes(await scene.sync());
    expect(Object.fromEntries([...done].filter(([, outcome]) => outcome !== 'unchanged'))).toEqual({
      m0: 'updated',
      m2: 'SOURCE_DISABLED',
      m3: 'SOURCE_DELETED',
    });
    expect(takeRequests().reads).toEqual(['m0', 'm1', 'm2', 'm3']);
    expect(await scene.secretValue('m0')).toBe('second');
    // Changed tags cause no read record, because value and version stayed the same.
    expect(await scene.records('--action', 'read')).toHaveLength(length + 3);
    await expectAgreement(scene);
  });

  it('reads a key again if the key changed less than two seconds before its last read', async () => {
    await using scene = await openAzure();
    const { server, advance, takeRequests } = scene;
    advance(HOUR_MS);
    await scene.sync();
    server.secrets.put('m0', 'second');
    await scene.sync();
    server.secrets.put('m0', 'third'); // The list may show the same second for both changes.
    advance(HOUR_MS);
    takeRequests();
    expect(outcomes(await scene.sync()).get('m0')).toBe('updated');
    expect(takeRequests().reads).toEqual(['m0']);
    expect(await scene.secretValue('m0')).toBe('third');
    await scene.sync();
    expect(takeRequests().reads).toEqual([]);
  });

  it('ignores read records of a different store definition, and records of failed reads', async () => {
    await using scene = await openAzure();
    const { server, advance, takeRequests, configuration } = scene;
    advance(HOUR_MS);
    await scene.sync();
    server.fail('unavailable', /GET \/secrets\/m0\b/);
    server.secrets.update('m0', {});
    expect(outcomes(await scene.sync()).get('m0')).toBe('STORE_UNAVAILABLE');
    server.fail(undefined);
    takeRequests();
    expect(outcomes(await scene.sync()).get('m0')).toBe('unchanged');
    expect(takeRequests().reads).toEqual(['m0']);

    const { port } = new URL(server.address);
    const [store] = configuration.stores;
    await scene.configure({ stores: [{ ...store, vaultUrl: `https://localhost:${port}` }] });
    takeRequests();
    await scene.sync();
    expect(takeRequests().reads).toEqual(names.toSorted());
  });
});
