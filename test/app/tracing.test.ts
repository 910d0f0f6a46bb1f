import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Bench, DB, HEAD, openBench } from '../cli/harness.ts';
import { textMarker } from '../leak-search.ts';
import { openReceiver, type ReceivedSpan, type Receiver } from '../telemetry/receiver.ts';

const PASSWORD = textMarker('a password').bytes.toString('utf8');
const HEADER = textMarker('a header').bytes.toString('utf8');

const config = ({ endpoint }: Pick<Receiver, 'endpoint'>) =>
  `${HEAD}tracing: { otlp: { endpoint: '${endpoint}', headers: { authorization: { env: OTLP_TOKEN } } } }\n${DB}`;

const sync = (bench: Bench) => bench.runWith({ env: { OTLP_TOKEN: HEADER } }, 'sync', '--output', 'json');

function namesBelow(spans: readonly ReceivedSpan[], parent: string): readonly string[] {
  return spans.filter(({ parentSpanId }) => parentSpanId === parent).map(({ name }) => name);
}

describe('traces of a sync', () => {
  it('the spans of a sync form one trace from the trigger to the outcome', async () => {
    await using receiver = await openReceiver();
    await using bench = await openBench(config(receiver));
    const { code, json } = await sync(bench);
    expect(code).toBe(0);
    const { spans } = receiver;
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    const [trigger] = spans.filter(({ parentSpanId }) => !parentSpanId);
    expect(trigger).toMatchObject({ name: 'trigger', attributes: { reason: 'manual' } });
    const job = spans.find(({ name }) => name === 'job');
    expect(job).toMatchObject({
      parentSpanId: trigger?.spanId,
      attributes: { mapping: 'db', namespace: 'apps', secret: 'db', reason: 'manual', outcome: 'created' },
    });
    expect(namesBelow(spans, job?.spanId ?? '')).toEqual(['gather', 'plan', 'intent', 'write', 'outcome']);
    const gather = spans.find(({ name }) => name === 'gather');
    expect(namesBelow(spans, gather?.spanId ?? '')).toContain('store');
    expect(spans.find(({ name }) => name === 'store')?.attributes).toEqual({
      store: 'local',
      operation: 'read',
      outcome: 'ok',
    });
    expect(spans.find(({ name }) => name === 'write')?.attributes).toEqual({
      operation: 'create',
      outcome: 'written',
    });
    expect(json).toMatchObject({ ok: true });
  });

  it('the trace of a failed sync contains the error code', async () => {
    await using receiver = await openReceiver();
    await using bench = await openBench(config(receiver).replace('property: user', 'property: gone'));
    await sync(bench);
    const job = receiver.spans.find(({ name }) => name === 'job');
    expect(job).toMatchObject({
      attributes: { outcome: 'failed', code: 'PROPERTY_MISSING' },
      status: { code: 2 },
    });
    expect(job?.status.message).toBeUndefined();
    expect(job?.events ?? []).toEqual([]);
  });

  it('the trace of a sync contains neither values, keys nor headers', async () => {
    await using receiver = await openReceiver();
    await using bench = await openBench(config(receiver));
    await bench.write('store/db.json', JSON.stringify({ user: 'ann', password: PASSWORD }));
    await sync(bench);
    await bench.write('store/db.json', `{"user":"${PASSWORD}","password":`);
    await sync(bench);
    expect(receiver.requests[0]?.headers.authorization).toBe(HEADER);
    const sent = receiver.bodies.join();
    expect(sent).toContain('NOT_AN_OBJECT');
    for (const hidden of [PASSWORD, HEADER, Buffer.from(PASSWORD).toString('base64'), 'db.json', 'PASSWORD'])
      expect(sent).not.toContain(hidden);
  });

  it('a sync succeeds even if the trace collector is down', async () => {
    await using receiver = await openReceiver();
    receiver.answer((response) => void response.writeHead(401).end());
    await using bench = await openBench(config(receiver));
    const { code, json } = await sync(bench);
    expect({ code, json }).toMatchObject({ code: 0, json: { ok: true, summary: { created: 1 } } });
  });
});

describe('a program without `tracing` in its configuration', () => {
  it('a program without `tracing` in its configuration loads no tracing packages, because only one file imports these packages, and the program loads this file only for tracing', () => {
    const src = join(import.meta.dirname, '../../src');
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.ts'),
    );
    const importing = files
      .filter((path) => !/^telemetry\/(?:otlp|spans)\.ts$/.test(path))
      .filter((path) =>
        /@opentelemetry\/|^import (?!type).*\/(?:otlp|spans)\.ts/m.test(
          readFileSync(join(src, path), 'utf8'),
        ),
      );
    expect(importing).toEqual([]);
    expect(readFileSync(join(src, 'app/tracing.ts'), 'utf8')).toContain(
      "await import('../telemetry/otlp.ts')",
    );
  });
});
