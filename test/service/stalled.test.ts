import { expect, it, vi } from 'vitest';
import { createLoops, watchStalls } from '../../src/service/liveness/loops.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { startTestServer } from '../http/harness.ts';
import { recordingLogger } from '../reconcile/world.ts';

it('the service reports a stalled loop within a minute and then its recovery, in `livez`, a metric and the log', async () => {
  vi.useFakeTimers();
  const clock = createManualTime();
  const logger = recordingLogger();
  const loops = createLoops(clock);
  const metrics = createMetrics({
    version: '1',
    clock,
    processMetrics: false,
    observe: async () => ({
      targets: [],
      stores: [],
      held: 0,
      engineUp: true,
      clusterUp: true,
      auditUp: true,
      chainOk: true,
      configValid: true,
      loops: loops.states(),
    }),
  });
  using _ = watchStalls(loops, { logger });
  await using bench = await startTestServer({ metrics, service: { loops: () => loops.states() } });
  const well = loops.begin('sweep schedule', 30_000);
  const stuck = loops.begin('watch apps', 30_000);
  const context = async (ms: number) => {
    clock.set(clock.now() + ms);
    well.beat();
    await vi.advanceTimersByTimeAsync(ms);
  };
  const shown = async () => ({
    livez: (await bench.get('/livez')).json,
    metric: /secretbridge_stalled\{loop="watch apps"\} (\d)/.exec((await bench.get('/metrics')).text)?.[1],
    logged: logger.lines.splice(0),
  });
  try {
    await context(29_000);
    expect(await shown()).toEqual({ livez: { ok: true, stalled: [] }, metric: '0', logged: [] });
    await context(29_000);
    expect(await shown()).toMatchObject({
      livez: { ok: false, stalled: ['watch apps'] },
      metric: '1',
      logged: [{ level: 'error', fields: { name: 'watch apps' } }],
    });
    expect((await bench.get('/livez')).status).toBe(503);
    // The stall is logged once, not at each check.
    await context(29_000);
    expect((await shown()).logged).toEqual([]);
    stuck.beat();
    await context(6_000);
    expect(await shown()).toMatchObject({
      livez: { ok: true, stalled: [] },
      metric: '0',
      logged: [{ level: 'info', fields: { name: 'watch apps' } }],
    });
  } finally {
    vi.useRealTimers();
  }
});
