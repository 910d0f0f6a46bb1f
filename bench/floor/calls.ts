import { Agent, request } from 'undici';
import { mapConcurrently } from '../../src/core/semaphore.ts';
import { type RunningFakeStore, totalOf } from '../fake-stores/start.ts';

// Reads the same data as the measured program, with the smallest possible number of requests. The fake store counts
// these requests.

interface Bare {
  ask(
    path: string,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Record<string, unknown>>;
}

async function counted(
  fakeStore: RunningFakeStore,
  work: (bare: Bare) => Promise<void>,
  connections = 8,
): Promise<number> {
  const dispatcher = new Agent({ allowH2: false, connections, connect: { ca: fakeStore.ca } });
  const bare: Bare = {
    async ask(path, body, headers = {}) {
      const url = path.startsWith('https:') ? path : fakeStore.address + path;
      const method = body === undefined ? 'GET' : 'POST';
      const sent = body === undefined ? null : JSON.stringify(body);
      const answer = await request(url, { dispatcher, method, headers, body: sent });
      return (await answer.body.json()) as Record<string, unknown>;
    },
  };
  try {
    const { counts } = await fakeStore.during(() => work(bare));
    return totalOf(counts);
  } finally {
    await dispatcher.close();
  }
}

const target = (operation: string) => ({ 'x-amz-target': `secretsmanager.${operation}` });

/** Lists all secrets, 100 per page. */
export function awsListPages(fakeStore: RunningFakeStore): Promise<number> {
  return counted(fakeStore, async ({ ask }) => {
    for (let token: unknown, first = true; first || token !== undefined; first = false) {
      const page = { MaxResults: 100, ...(token === undefined ? {} : { NextToken: token }) };
      token = (await ask('/', page, target('ListSecrets'))).NextToken;
    }
  });
}

/** Reads the keys in batches of 20. */
export function awsBatches(fakeStore: RunningFakeStore, keys: readonly string[]): Promise<number> {
  return counted(fakeStore, async ({ ask }) => {
    for (let start = 0; start < keys.length; start += 20)
      await ask('/', { SecretIdList: keys.slice(start, start + 20) }, target('BatchGetSecretValue'));
  });
}

/** Lists all secrets, 25 per page. The login is not counted. */
export async function azureListPages(fakeStore: RunningFakeStore, token: string): Promise<number> {
  return counted(fakeStore, async ({ ask }) => {
    let next: unknown = '/secrets?api-version=7.4&maxresults=25';
    while (typeof next === 'string')
      next = (await ask(next, undefined, { authorization: `Bearer ${token}` })).nextLink;
  });
}

/** Reads each key with one request. The login is not counted. */
export function vaultReads(fakeStore: RunningFakeStore, keys: readonly string[]): Promise<number> {
  return counted(fakeStore, async ({ ask }) => {
    for (const key of keys) await ask(`/v1/secret/data/${key}`);
  });
}

/** Reads each key with one request, with this many requests at a time. Returns the time in milliseconds. */
export async function vaultReadTime(
  fakeStore: RunningFakeStore,
  keys: readonly string[],
  concurrency: number,
): Promise<number> {
  const startedAt = performance.now();
  await counted(
    fakeStore,
    async ({ ask }) => {
      await mapConcurrently(keys, concurrency, (key) => ask(`/v1/secret/data/${key}`));
    },
    concurrency,
  );
  return performance.now() - startedAt;
}
