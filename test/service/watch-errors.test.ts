import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createWatchErrors } from '../../src/service/watch/watch-errors.ts';
import { recordingLogger } from '../reconcile/world.ts';
import { createClock, createFakeBroadcast, failed, targetState, wanted } from './sample.ts';

const AWAY = new AppError('CLUSTER_UNAVAILABLE');

function open() {
  const one = wanted({ name: 'one' });
  const two = wanted({ name: 'two', namespace: 'web' });
  const snapshot = createConfigSnapshot([one.mapping, two.mapping], [one, two], () => false);
  const states = createTargetStates(createFakeBroadcast(), createClock(), () => 'id');
  for (const { mapping, id } of [one, two])
    states.note(targetState({ mapping: mapping.name, target: id, ...failed('CLUSTER_UNAVAILABLE') }));
  const logger = recordingLogger();
  const woken: string[] = [];
  const outbox = { trigger: ({ secret }: { secret: string }) => void woken.push(secret) };
  const trouble = createWatchErrors({ snapshot: () => snapshot, states, outbox, logger });
  return { trouble, woken, levels: () => logger.lines.splice(0).map(({ level }) => level) };
}

it('a recovered watch queues the failed targets of its namespace and is logged once', () => {
  const { trouble, woken, levels } = open();
  trouble.note('apps', AWAY);
  trouble.note('apps', AWAY);
  expect([trouble.first(), levels()]).toEqual([AWAY, ['warn']]);
  trouble.note('apps', undefined);
  trouble.note('apps', undefined);
  expect([trouble.first(), levels(), woken]).toEqual([undefined, ['info'], ['one']]);
});

it('a watch that ends with an error does not count as recovered', () => {
  const { trouble, woken, levels } = open();
  trouble.note('apps', AWAY);
  trouble.forget('apps');
  expect([trouble.first(), levels(), woken]).toEqual([undefined, ['warn'], []]);
});

it('a missing permission is logged as an error', () => {
  const { trouble, levels } = open();
  trouble.note('apps', new AppError('CLUSTER_FORBIDDEN'));
  expect(levels()).toEqual(['error']);
});

it('an outage of the API server causes few log lines, however many watches there are', () => {
  const { trouble, levels } = open();
  const logged = () => levels().filter((level) => level !== 'debug');
  const names = Array.from({ length: 500 }, (_, n) => `ns-${n}`);
  for (let outage = 0; outage < 2; outage += 1) {
    for (const name of names) trouble.note(name, AWAY);
    expect(logged()).toEqual(Array.from({ length: 10 }, () => 'warn'));
    for (const name of names.slice(1)) trouble.note(name, undefined);
    expect(logged()).toEqual(Array.from({ length: 9 }, () => 'info'));
    trouble.note('ns-0', undefined);
    expect(logged()).toEqual(['info', 'info']);
  }
});

it('an outage and a missing permission are both logged, even at the same time', () => {
  const { trouble, levels } = open();
  const logged = () => levels().filter((level) => level !== 'debug');
  const forbidden = new AppError('CLUSTER_FORBIDDEN');
  const names = Array.from({ length: 30 }, (_, n) => `ns-${n}`);
  for (const name of names) trouble.note(name, AWAY);
  logged();
  // `ns-29` is the first watch with a missing permission. No log line has named it so far.
  trouble.note('ns-29', forbidden);
  expect(logged()).toEqual(['error']);
  for (const name of names.slice(0, 20)) trouble.note(name, forbidden);
  expect(logged()).toEqual(Array.from({ length: 10 }, () => 'error'));
  trouble.note('ns-30', AWAY);
  expect(logged()).toEqual(['warn']);
});

it('the end of an outage is logged even if its last failing watch is no longer needed', () => {
  const { trouble, levels } = open();
  const names = Array.from({ length: 11 }, (_, n) => `ns-${n}`);
  for (const name of names) trouble.note(name, AWAY);
  for (const name of names.slice(1)) trouble.note(name, undefined);
  levels();
  trouble.forget('ns-0');
  expect(levels()).toEqual(['info']);
  trouble.forget('ns-0');
  expect(levels()).toEqual([]);
});
