import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startAwsServer } from '../../fakes/aws-server.ts';
import { openAzureStore } from './azure-store.ts';
import { openScene, type Scene } from './preflight-scene.ts';

// Everyone with `edit` rights in a namespace can add keys to the sources annotation of a target. The bridge reads these
// keys to detect lost search results. An alias is another spelling of a key. An added alias must not bring another
// team's key into the Secret.

interface Store extends AsyncDisposable {
  readonly store: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  readonly find: Readonly<Record<string, unknown>>;
  /**
   * Other spellings of keys. The search returns none of these spellings: it omits the key, or returns another spelling
   * of the key.
   */
  readonly names: readonly string[];
}

async function openAzure(): Promise<Store> {
  const azure = await openAzureStore();
  azure.server.secrets.put('mine', 'mine', { tags: { team: 'a' } });
  azure.server.secrets.put('other-db', 'theirs', { tags: { team: 'b' } });
  return {
    ...azure,
    find: { path: '', tags: { team: 'a' } },
    names: ['Other-DB', 'OTHER-DB', 'Mine'],
    [Symbol.asyncDispose]: () => azure[Symbol.asyncDispose](),
  };
}

async function openAws(): Promise<Store> {
  const aws = await startAwsServer();
  aws.store.put('mine', 'mine', { tags: { team: 'a' } });
  const { arn } = aws.store.put('other/db', 'theirs', { tags: { team: 'b' } });
  const { accessKeyId, secretAccessKey } = aws.root;
  const auth = {
    method: 'static',
    accessKeyId: { env: 'AWS_ACCESS_KEY_ID' },
    secretAccessKey: { env: 'AWS_SECRET_ACCESS_KEY' },
  };
  return {
    store: { kind: 'aws-secrets-manager', region: 'eu-west-1', endpoint: aws.address, auth },
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    find: { path: '', tags: { team: 'a' } },
    names: [arn, arn.slice(0, -7)],
    [Symbol.asyncDispose]: () => aws[Symbol.asyncDispose](),
  };
}

async function openFiles(): Promise<Store> {
  const path = await mkdtemp(join(tmpdir(), 'secretbridge-store-'));
  await mkdir(join(path, '.git'));
  await writeFile(join(path, 'mine'), 'mine');
  await writeFile(join(path, '.hidden'), 'theirs');
  await writeFile(join(path, '.git', 'config'), 'theirs');
  return {
    store: { kind: 'files', path },
    env: {},
    find: {},
    names: ['.hidden', '.git/config'],
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

const TARGET = 'found';

/** Returns the keys of the Secret, as `plan` reports them. */
async function keysOf({ run }: Scene): Promise<readonly string[]> {
  const { stdout } = await run('plan', '--output', 'json', '--mapping', TARGET);
  const { targets } = JSON.parse(stdout) as { targets: { keys: { name: string; action: string }[] }[] };
  return targets.flatMap(({ keys }) => keys.filter(({ action }) => action !== 'add').map(({ name }) => name));
}

describe.each([
  ['Azure', openAzure],
  ['AWS', openAws],
  ['files', openFiles],
])('a sources annotation to which somebody added an alias of a key in %s', (_, open) => {
  it('a key in the sources annotation is not added to the Secret if the search does not find that key', async () => {
    await using store = await open();
    await using scene = await openScene(store.store, store.env);
    const { configure, namespace, patch, sync } = scene;
    const dataFrom = [{ store: 'store', find: store.find, rename: { invalid: 'replace' } }];
    await configure({ mappings: [{ name: TARGET, target: { namespace }, dataFrom }] });
    expect((await sync()).summary).toMatchObject({ created: 1 });
    for (const key of store.names) {
      const sources = {
        mine: { store: 'store', key: 'mine', version: '1' },
        x: { store: 'store', key, version: '1' },
      };
      await patch(TARGET, {
        metadata: { annotations: { 'secretbridge.dev/sources': JSON.stringify(sources) } },
      });
      expect((await sync('--mapping', TARGET)).ok, key).toBe(true);
      expect(await keysOf(scene), key).toEqual(['mine']);
    }
  });
});
