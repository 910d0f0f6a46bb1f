import { expect, it } from 'vitest';
import { createIntakeHealth } from '../../src/commands/serve/intake-health.ts';
import { AppError } from '../../src/core/errors.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const EU = { kind: 'sqs', name: 'eu' } as const;
const CI = { kind: 'webhook', name: 'ci' } as const;
const START = Date.parse('2026-11-25T12:00:00Z');

function open() {
  const time = createManualTime(START);
  const health = createIntakeHealth(time);
  health.keep([CI, EU]);
  return { ...health, time };
}

it('a new event source is up', () => {
  expect(open().states()).toEqual([
    { kind: 'sqs', name: 'eu', state: 'up' },
    { kind: 'webhook', name: 'ci', state: 'up' },
  ]);
});

it('an event source is degraded for a minute after a transient failure, then down, and up after a success', () => {
  const { attempted, states, time } = open();
  const stateOf = () => states()[0];
  attempted(EU, new AppError('STORE_UNAVAILABLE'));
  expect(stateOf()).toEqual({ kind: 'sqs', name: 'eu', state: 'degraded', code: 'STORE_UNAVAILABLE' });
  time.set(START + 59_999);
  attempted(EU, new AppError('TIMEOUT'));
  expect(stateOf()).toMatchObject({ state: 'degraded', code: 'TIMEOUT' });
  time.set(START + 60_000);
  expect(stateOf()).toMatchObject({ state: 'down' });
  attempted(EU);
  expect(stateOf()).toEqual({ kind: 'sqs', name: 'eu', state: 'up' });
});

it('an event source is down immediately after a permanent failure', () => {
  const { attempted, states } = open();
  attempted(CI, new AppError('CREDENTIAL_MISSING', { detail: 'file /x' }));
  expect(states()[1]).toEqual({ kind: 'webhook', name: 'ci', state: 'down', code: 'CREDENTIAL_MISSING' });
});

it('the last event of an event source stays visible while the event source is configured', () => {
  const { received, keep, states, time } = open();
  received(CI);
  time.set(START + 5_000);
  keep([CI]);
  expect(states()).toEqual([
    { kind: 'webhook', name: 'ci', state: 'up', lastEvent: '2026-11-25T12:00:00.000Z' },
  ]);
  keep([]);
  keep([CI]);
  expect(states()).toEqual([{ kind: 'webhook', name: 'ci', state: 'up' }]);
});
