import { expect, it } from 'vitest';
import { waitUntil } from '../wait-until.ts';
import { Collector, HEAD, openBench } from './harness.ts';

const TOKEN = 'a-token-of-ann';
const HTTP = `http:
  listen: 127.0.0.1:0
  tokens: [ { name: ann, role: operator, token: { env: ANN_TOKEN } } ]
`;
const DATA = 'onMappingRemoved: delete, data: { USER: { store: local, key: db.json, property: user } }';
const one = (namespaces: string) => `  - { name: one, target: { namespaces: [${namespaces}] }, ${DATA} }\n`;
const two = `  - { name: two, target: { namespace: apps }, ${DATA} }\n`;
const config = (...mappings: readonly string[]): string => `${HEAD}${HTTP}mappings:\n${mappings.join('')}`;

interface Said {
  readonly ok: boolean;
  readonly summary: object;
  readonly targets: readonly {
    readonly namespace: string;
    readonly outcome: string;
    readonly keys: readonly object[];
  }[];
  readonly held: readonly object[];
}

it('`sync` and `sync --server` report the same held changes, whether or not the command names a mapping', async () => {
  await using bench = await openBench(config(one('a, b, c'), two));
  expect((await bench.run('sync')).code).toBe(0);
  // One mapping lost one of its namespaces, and the other mapping was removed.
  await bench.write('secretbridge.yaml', config(one('a, b')));
  const stop = new AbortController();
  const stderr = new Collector();
  const env = { ANN_TOKEN: TOKEN, SECRETBRIDGE_TOKEN: TOKEN };
  const serving = bench.runWith({ stderr, env, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service is running'));
  const server = /"address":"(http:[^"]+)"/.exec(stderr.text)?.[1] ?? '';
  const ask = (...args: readonly string[]) =>
    bench.runWith({ env }, ...args, '--server', server, '--output', 'json');
  try {
    await waitUntil(async () =>
      expect((await ask('status')).json).toMatchObject({ held: [{ mapping: 'two' }, { mapping: 'one' }] }),
    );
    for (const [args, held] of [
      [['sync'], 2],
      [['sync', '--mapping', 'one'], 1],
    ] as const) {
      const localAnswer = await bench.run(...args, '--output', 'json');
      const serviceAnswer = await ask(...args);
      const resultOf = (json: unknown) => {
        const { ok, summary, targets, held: waiting } = json as Said;
        const ends = targets.map(({ namespace, outcome, keys }) => ({ namespace, outcome, keys }));
        return { ok, summary, ends, held: waiting };
      };
      expect(resultOf(serviceAnswer.json)).toEqual(resultOf(localAnswer.json));
      const kept = { outcome: 'unchanged', keys: [{ name: 'USER', action: 'keep' }] };
      expect(resultOf(serviceAnswer.json)).toMatchObject({ ok: false, summary: { unchanged: 2, held } });
      expect(resultOf(serviceAnswer.json).ends.filter(({ namespace }) => namespace === 'a')).toMatchObject([
        kept,
      ]);
      expect([serviceAnswer.code, localAnswer.code]).toEqual([4, 4]);
    }
  } finally {
    stop.abort();
    await serving;
  }
});
