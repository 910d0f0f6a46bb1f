import { describe, expect, it } from 'vitest';
import { toStored } from '../../src/audit/chain.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { waitUntil } from '../wait-until.ts';
import { Collector, DB, HEAD, openBench } from './harness.ts';

describe('the setting audit.stdout', () => {
  it('the setting audit.stdout prints each record of the service on stdout, in the format of an export', async () => {
    await using bench = await openBench(`${HEAD}audit: { stdout: true }
http: { listen: '127.0.0.1:0' }
${DB}`);
    const stop = new AbortController();
    const stdout = new Collector();
    const running = bench.runWith({ stdout, signal: stop.signal }, 'serve', '--grace', '1s');
    await waitUntil(() => expect(stdout.text).toContain('"phase":"outcome"'));
    stop.abort();
    expect((await running).code).toBe(0);
    const lines = stdout.text.split('\n').slice(0, -1);
    const records = lines
      .map((line) => JSON.parse(line))
      .filter((record) => record.previousHash !== undefined);
    expect(records.length).toBeGreaterThan(3);
    expect(await verify(records.map(toStored))).toMatchObject({ kind: 'intact', records: records.length });
    const exported = await bench.run('audit', 'export', '--format', 'jsonl');
    expect(exported.stdout.split('\n').slice(0, -1)).toEqual(
      lines.filter((line) => line.includes('"previousHash"')),
    );
    expect(stdout.text).not.toMatch(/"first"|ann"}/);
  });
});

it('`audit verify` succeeds for a service that has just started', async () => {
  await using bench = await openBench(`${HEAD}http: { listen: '127.0.0.1:0' }\n${DB}`);
  const stop = new AbortController();
  const running = bench.runWith({ signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(async () =>
    expect(await bench.run('audit', 'verify')).toMatchObject({ code: 0, stderr: '' }),
  );
  stop.abort();
  expect((await running).code).toBe(0);
});
