import { expect, it } from 'vitest';
import { waitUntil } from '../wait-until.ts';
import { type Bench, Collector, DB, HEAD, openBench } from './harness.ts';

const VALID = `${HEAD}http: { listen: '127.0.0.1:0' }
${DB}`;

async function configured(bench: Bench): Promise<readonly object[]> {
  const { json } = await bench.run('audit', 'list', '--action', 'configure', '--output', 'json');
  return (json as { readonly records: readonly object[] }).records;
}

it('a service records and logs that its configuration became invalid, and that the configuration is valid again', async () => {
  await using bench = await openBench(VALID);
  const stop = new AbortController();
  const stderr = new Collector();
  const running = bench.runWith({ stderr, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service is running'));

  await bench.write('secretbridge.yaml', `${VALID}bogus: 1\n`);
  await waitUntil(() => expect(stderr.text).toContain('the configuration is invalid'));
  await bench.write('secretbridge.yaml', VALID);
  await waitUntil(() => expect(stderr.text).toContain('the configuration is valid again'));
  await bench.write('secretbridge.yaml', `# Nothing else.\n${VALID}`);
  await waitUntil(async () => expect(await configured(bench)).toHaveLength(3));
  stop.abort();
  expect((await running).code).toBe(0);

  const [ended, begun, opened, ...others] = await configured(bench);
  expect(ended).toMatchObject({ outcome: 'ok', note: 'valid again' });
  expect(begun).toMatchObject({ outcome: 'failed', code: 'CONFIG_INVALID', counts: { problems: 1 } });
  expect(opened).toMatchObject({ outcome: 'ok', note: 'stores: 1, mappings: 1' });
  expect(others).toEqual([]);
});
