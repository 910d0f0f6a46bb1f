import { expect, it } from 'vitest';
import type { LogFields } from '../../src/log/fields.ts';
import { silentLogger } from '../../src/log/logger.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { logOutcome } from '../../src/service/log-outcome.ts';

const UPDATED: Outcome = {
  kind: 'updated',
  mapping: 'db',
  target: { namespace: 'apps', secret: 'db' },
  keys: [],
  alive: true,
};

it('tells an edit by hand that was repaired from a rotation', () => {
  const lines: [string, LogFields | undefined][] = [];
  const logger = {
    ...silentLogger,
    info: (message: string, fields?: LogFields) => void lines.push([message, fields]),
  };
  for (const reason of ['drift', 'sweep']) logOutcome(logger, UPDATED, 'r1', { reason });
  expect(lines).toMatchObject([
    ['target changed', { secret: 'db', reason: 'drift' }],
    ['target changed', { secret: 'db', reason: 'sweep' }],
  ]);
});
