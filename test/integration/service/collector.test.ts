import { beforeAll, expect, it } from 'vitest';
import { DB, HEAD, openBench } from '../../cli/harness.ts';
import { type ReceivedSpan, spansIn } from '../../telemetry/receiver.ts';
import { type Collector, installCollector, startCollector } from '../services/collector.ts';
import { freePort } from '../services/free-port.ts';
import { BUILD_MS } from '../services/go-program.ts';
import { startServiceProcess, within } from './service-process.ts';

const TOKEN = 'a-token-of-ann-that-is-long-enough';
const HEADER = 'a-header-of-the-collector';
let program: string;

beforeAll(async () => {
  program = await installCollector();
}, BUILD_MS);

function spansOf(collector: Collector): readonly ReceivedSpan[] {
  const lines = collector.received().split('\n');
  return lines.filter((line) => line !== '').flatMap((line) => spansIn(JSON.parse(line)));
}

it('an OpenTelemetry collector receives the spans without values, and its outage does not disturb the service', async () => {
  await using first = await startCollector(program);
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  await using bench = await openBench(`${HEAD}${DB}
http: { listen: '127.0.0.1:${port}', tokens: [ { name: ann, role: operator, token: { env: TOKEN } } ] }
tracing: { otlp: { endpoint: '${first.endpoint}', headers: { authorization: { env: HEADER } } } }
defaults: { refresh: 5s }
`);
  const write = (password: string) =>
    bench.write('store/db.json', JSON.stringify({ user: 'ann-the-user', password }));
  const written = (password: string) =>
    within(20_000, async () => {
      const text = await bench.read('cluster/apps/db.yaml');
      expect(text).toContain(Buffer.from(password).toString('base64'));
    });
  await write('first-s3cr3t');
  const env = { TOKEN, HEADER };
  await using service = await startServiceProcess({ cwd: bench.folder, env, address, token: TOKEN });
  await written('first-s3cr3t');
  const hasUpdate = (collector: Collector, outcome: string) =>
    within(20_000, () =>
      expect(spansOf(collector).some(({ attributes }) => attributes.outcome === outcome)).toBe(true),
    );
  await hasUpdate(first, 'created');
  const job = spansOf(first).find(({ attributes }) => attributes.outcome === 'created');
  expect(job).toMatchObject({ name: 'job', attributes: { mapping: 'db' }, resource: {} });
  expect(job?.resource['service.name']).toBe('secretbridge');
  const children = spansOf(first).filter(({ parentSpanId }) => parentSpanId === job?.spanId);
  expect(children.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['gather', 'plan', 'intent', 'write', 'outcome']),
  );
  const received = first.received();
  await first.stop();

  await write('second-s3cr3t');
  await written('second-s3cr3t');
  expect((await service.get('/readyz')).status).toBe(200);
  expect((await service.target('db'))?.state).toBe('synced');
  const warnings = () => service.logged().filter(({ level }) => level === 'warn' || level === 'error');
  await within(20_000, () => expect(warnings()).toHaveLength(1));

  await using second = await startCollector(program, first.port);
  await write('third-s3cr3t');
  await written('third-s3cr3t');
  await hasUpdate(second, 'updated');
  await write('fourth-s3cr3t');
  await written('fourth-s3cr3t');
  expect((await service.stop()).code).toBe(0);
  // The service sends the last spans before it exits. The collector writes them a little later.
  const updates = () => spansOf(second).filter(({ attributes }) => attributes.outcome === 'updated');
  await within(10_000, () => expect(updates().length).toBeGreaterThan(1));
  expect(warnings()).toHaveLength(1);
  for (const hidden of ['s3cr3t', 'ann-the-user', TOKEN, HEADER])
    expect(received + second.received() + second.log()).not.toContain(hidden);
}, 180_000);
