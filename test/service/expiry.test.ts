import { expect, it } from 'vitest';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { targetStatuses, targetWarnings } from '../../src/service/status.ts';
import { SourceAges } from '../../src/service/sweep/source-ages.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { source } from '../sync/sample.ts';
import { createClock, START, targetState, wanted } from './sample.ts';

const DAY_MS = 86_400_000;
const APP = wanted({ data: { A: source({ key: 'a' }), B: source({ key: 'b' }) } });
const { store } = source({});

function open() {
  const clock = createClock();
  const ages = new SourceAges({ clock, logger: silentLogger });
  const states = createTargetStates(undefined, clock);
  const snapshot = createConfigSnapshot([APP.mapping], [APP], () => false);
  return {
    clock,
    ages,
    states,
    expiresAt: () => targetStatuses({ snapshot, states, clock, ages })[0]?.expiresAt,
    warnings: () => targetWarnings({ states, ages, snapshot: () => snapshot }, clock.now()),
  };
}

it('the status shows when the first source or certificate of a target expires', () => {
  const { ages, states, expiresAt } = open();
  expect(expiresAt()).toBeUndefined();
  ages.note(store, 'a', { version: '1', expiresAt: START + 30 * DAY_MS });
  ages.note(store, 'b', { version: '1', expiresAt: START + 20 * DAY_MS });
  expect(expiresAt()).toBe(new Date(START + 20 * DAY_MS).toISOString());
  states.note(targetState({ certificateExpiresAt: START + 10 * DAY_MS }));
  expect(expiresAt()).toBe(new Date(START + 10 * DAY_MS).toISOString());
});

it('an answer that does not tell the expiry keeps it, and one without an expiry removes it', () => {
  const { ages, expiresAt } = open();
  ages.note(store, 'a', { version: '1', expiresAt: START + DAY_MS });
  ages.note(store, 'a', { version: '2', createdAt: START });
  expect(expiresAt()).toBe(new Date(START + DAY_MS).toISOString());
  ages.note(store, 'a', { version: '2', expiresAt: null });
  expect(expiresAt()).toBeUndefined();
});

it('the expiry of a source that no mapping uses any more is forgotten', () => {
  const { ages, expiresAt } = open();
  ages.note(store, 'a', { version: '1', createdAt: START, expiresAt: START + DAY_MS });
  ages.note(store, 'b', { version: '1', expiresAt: START + DAY_MS });
  ages.warn([]);
  expect(expiresAt()).toBeUndefined();
});

it('the status warns within the week before the expiry, and after it', () => {
  const { ages, clock, warnings } = open();
  ages.note(store, 'a', { version: '1', expiresAt: START + 8 * DAY_MS });
  expect(warnings()).toEqual([]);
  clock.time += DAY_MS;
  const at = new Date(START + 8 * DAY_MS).toISOString().replace('.000Z', 'Z');
  const warning = {
    ...{ code: 'EXPIRES_SOON', mapping: 'app', namespace: 'apps', secret: 'app' },
    message: `a value or a certificate of the target expires within a week, or has expired (at ${at})`,
  };
  expect(warnings()).toEqual([warning]);
  clock.time += 30 * DAY_MS;
  expect(warnings()).toEqual([warning]);
});
