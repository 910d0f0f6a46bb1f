import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { HEAD, openBench } from '../cli/harness.ts';
import { AwsError } from '../fakes/aws-operations.ts';
import { startAwsServer } from '../fakes/aws-server.ts';

const KEYS = Array.from({ length: 60 }, (_, index) => `k${index}`);

describe('doctor without a permission that would only reduce the number of requests', () => {
  it.each([
    [/ListSecrets/, /store aws: list: not allowed.*; it would save up to 24 of 36 requests per hour$/],
    [/Batch/, /store aws: read in batches: not allowed[^;]*; [^;]*$/],
    [
      /ListSecrets|Batch/,
      /store aws: read in batches: not allowed.*; it would save up to 684 of 720 requests per hour$/,
    ],
  ])(
    '`doctor` reports how many requests would be saved if the permission for %s were granted',
    async (refused, expected) => {
      await using server = await startAwsServer({ region: 'eu-west-1', account: '123456789012' });
      for (const key of KEYS) server.store.put(key, 'x');
      server.fail(new AwsError('AccessDeniedException'), refused);
      const store = `name: aws, kind: aws-secrets-manager, region: eu-west-1, endpoint: '${server.address}', auth: { method: static, accessKeyId: { env: ID }, secretAccessKey: { env: KEY } }`;
      await using bench =
        await openBench(`${HEAD.replace(/stores.*\n/, `stores: [ { ${store} } ]\n`)}mappings:
  - name: all
    target: { namespace: apps }
    data: { ${KEYS.map((key) => `${key}: { store: aws, key: ${key} }`).join(', ')} }
`);
      const env = { ID: server.root.accessKeyId, KEY: server.root.secretAccessKey };
      const { json } = await bench.runWith({ env, clock: systemClock }, 'doctor', '--output', 'json');
      const { ok, checks } = json as { ok: boolean; checks: { name: string; ok: boolean }[] };
      expect({ ok, failed: checks.filter((check) => !check.ok) }).toEqual({ ok: true, failed: [] });
      expect(checks.map(({ name }) => name)).toContainEqual(expect.stringMatching(expected));
    },
  );
});
