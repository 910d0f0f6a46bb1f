import { expect, it } from 'vitest';
import { openHttpFrontend } from '../../src/commands/serve/http-frontend.ts';
import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

const BROKEN = { path: 'teams/a.yaml', state: 'disabled', problems: [], namespaces: ['a'] } as const;

it('the HTTP frontend reports why the service has not started yet', async () => {
  const http = {
    listen: '127.0.0.1:0',
    tokens: [],
    metricsNeedToken: false,
    kubernetes: false,
    allowHttp: false,
  };
  const deps = { version: '1', logger: silentLogger, clock: systemClock, configProblems: () => [] };
  const front = await openHttpFrontend({ http, instance: 'prod', includes: [BROKEN] }, deps);
  const ask = async (path: string) => {
    const answer = await fetch(`${front.url}${path}`, { headers: { authorization: 'Bearer x' } });
    return { status: answer.status, body: await answer.json() };
  };
  try {
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: { code: 'STARTING' } });
    expect(await ask('/api/v1/status')).toMatchObject({ status: 503, body: { code: 'STARTING' } });
    expect(await ask('/livez')).toMatchObject({ status: 200 });
    const metrics = await fetch(`${front.url}/metrics`);
    expect(await metrics.text()).toContain('secretbridge_config_valid 0\n');
    front.use({ waitingFor: new AppError('CLUSTER_UNAVAILABLE') });
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: { code: 'CLUSTER_UNAVAILABLE' } });
  } finally {
    await front.close(0);
  }
});
