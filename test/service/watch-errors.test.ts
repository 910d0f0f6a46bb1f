import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createWatchErrors } from '../../src/service/watch/watch-errors.ts';
import { recordingLogger } from '../reconcile/world.ts';

const AWAY = new AppError('CLUSTER_UNAVAILABLE');

function open() {
  const logger = recordingLogger();
  const woken: string[] = [];
  const trouble = createWatchErrors({ onRecovered: (name) => void woken.push(name), logger });
  return { trouble, woken, levels: () => logger.lines.splice(0).map(({ level }) => level) };
}

it('a recovered watch is reported and logged once', () => {
  const { trouble, woken, levels } = open();
  trouble.note('apps', AWAY);
  trouble.note('apps', AWAY);
  expect([trouble.first(), levels()]).toEqual([AWAY, ['warn']]);
  trouble.note('apps', undefined);
  trouble.note('apps', undefined);
  expect([trouble.first(), levels(), woken]).toEqual([undefined, ['info'], ['apps']]);
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
