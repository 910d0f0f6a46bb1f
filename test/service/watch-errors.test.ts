import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createTargetStates } from '../../src/service/target-states.ts';
import { createConfigSnapshot } from '../../src/service/config-snapshot.ts';
import { createWatchErrors } from '../../src/service/watch/watch-errors.ts';
import { recordingLogger } from '../reconcile/world.ts';
import { createClock, createFakeNotices, failed, known, wanted } from './sample.ts';

const AWAY = new AppError('CLUSTER_UNAVAILABLE');

function open() {
  const one = wanted({ name: 'one' });
  const two = wanted({ name: 'two', namespace: 'web' });
  const snapshot = createConfigSnapshot([one.mapping, two.mapping], [one, two], () => false);
  const states = createTargetStates(createFakeNotices(), createClock(), () => 'id');
  for (const { mapping, id } of [one, two])
    states.note(known({ mapping: mapping.name, target: id, ...failed('CLUSTER_UNAVAILABLE') }));
  const logger = recordingLogger();
  const woken: string[] = [];
  const outbox = { trigger: ({ secret }: { secret: string }) => void woken.push(secret) };
  const trouble = createWatchErrors({ snapshot: () => snapshot, states, outbox, logger });
  return { trouble, woken, levels: () => logger.lines.splice(0).map(({ level }) => level) };
}

it('a watch that works again has what failed in its namespace looked at, and is told once', () => {
  const { trouble, woken, levels } = open();
  trouble.note('apps', AWAY);
  trouble.note('apps', AWAY);
  expect([trouble.first(), levels()]).toEqual([AWAY, ['warn']]);
  trouble.note('apps', undefined);
  trouble.note('apps', undefined);
  expect([trouble.first(), levels(), woken]).toEqual([undefined, ['info'], ['one']]);
});

it('a watch that ends in trouble works no more, and nobody is told that it does', () => {
  const { trouble, woken, levels } = open();
  trouble.note('apps', AWAY);
  trouble.forget('apps');
  expect([trouble.first(), levels(), woken]).toEqual([undefined, ['warn'], []]);
});

it('a right that is missing is for a person', () => {
  const { trouble, levels } = open();
  trouble.note('apps', new AppError('CLUSTER_FORBIDDEN'));
  expect(levels()).toEqual(['error']);
});

it('an outage of the API server is a few lines, however many watches there are', () => {
  const { trouble, levels } = open();
  const said = () => levels().filter((level) => level !== 'debug');
  const names = Array.from({ length: 500 }, (_, n) => `ns-${n}`);
  for (let outage = 0; outage < 2; outage += 1) {
    for (const name of names) trouble.note(name, AWAY);
    expect(said()).toEqual(Array.from({ length: 10 }, () => 'warn'));
    for (const name of names.slice(1)) trouble.note(name, undefined);
    expect(said()).toEqual(Array.from({ length: 9 }, () => 'info'));
    trouble.note('ns-0', undefined);
    expect(said()).toEqual(['info', 'info']);
  }
});

it('an outage hides no right that is missing, nor missing rights an outage', () => {
  const { trouble, levels } = open();
  const said = () => levels().filter((level) => level !== 'debug');
  const forbidden = new AppError('CLUSTER_FORBIDDEN');
  const names = Array.from({ length: 30 }, (_, n) => `ns-${n}`);
  for (const name of names) trouble.note(name, AWAY);
  said();
  // It is the first one to be answered, and none of those that the log has named.
  trouble.note('ns-29', forbidden);
  expect(said()).toEqual(['error']);
  for (const name of names.slice(0, 20)) trouble.note(name, forbidden);
  expect(said()).toEqual(Array.from({ length: 10 }, () => 'error'));
  trouble.note('ns-30', AWAY);
  expect(said()).toEqual(['warn']);
});

it('an outage that ends with a watch that nobody needs any more is said to be over', () => {
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
