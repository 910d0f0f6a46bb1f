import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Outcome } from '../../src/reconcile/outcome.ts';
import { logOutcome } from '../../src/service/runs/log-outcome.ts';
import type { LogFields } from '../../src/telemetry/log-fields.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';

const UPDATED: Outcome = {
  kind: 'updated',
  mapping: 'db',
  target: { namespace: 'apps', secret: 'db' },
  keys: [],
  alive: true,
};

it('the log shows the reason of a change, which distinguishes repaired drift from a rotation', () => {
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

it('a proposal is logged at debug, because the deletion step logs the decision', () => {
  const lines: string[] = [];
  const say = (level: string) => () => void lines.push(level);
  const logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const live = { id: UPDATED.target } as NonNullable<Outcome['proposal']>['live'];
  const proposed = { ...UPDATED, kind: 'held', error: new AppError('HELD') } as const;
  logOutcome(logger, { ...proposed, proposal: { mapping: 'db', live, keys: [], held: false } }, 'r1');
  logOutcome(logger, proposed, 'r1');
  expect(lines).toEqual(['debug', 'error']);
});
