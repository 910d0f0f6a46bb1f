import { expect, it } from 'vitest';
import { openHttpFrontend } from '../../src/commands/serve/http-frontend.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { freePort } from '../integration/services/free-port.ts';

// With a separate port for metrics, a caller of the API cannot read the metrics, and a scraper cannot call the API.
it('the port of the API has no metrics, and the port of the metrics has nothing else', async () => {
  const metricsPort = await freePort();
  const http = {
    ...{ listen: '127.0.0.1:0', metrics: { listen: `127.0.0.1:${metricsPort}` } },
    ...{ tokens: [], metricsNeedToken: false, kubernetes: false, allowHttp: false },
  };
  const deps = { version: '1', logger: silentLogger, clock: systemClock, configProblems: () => [] };
  const front = await openHttpFrontend({ http, instance: 'prod', includes: [] }, deps);
  try {
    const statusOf = async (url: string) => (await fetch(url)).status;
    const metrics = `http://127.0.0.1:${metricsPort}`;
    expect(await statusOf(`${front.url}/metrics`)).toBe(404);
    expect(await statusOf(`${metrics}/metrics`)).toBe(200);
    expect(await statusOf(`${metrics}/livez`)).toBe(200);
    for (const path of ['/', '/api/v1/status', '/api/v1/mappings', '/api/openapi.json', '/events/webhook/ci'])
      expect([path, await statusOf(`${metrics}${path}`)]).toEqual([path, 404]);
  } finally {
    await front.close(0);
  }
});
