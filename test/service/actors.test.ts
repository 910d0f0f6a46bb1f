import { expect, it } from 'vitest';
import { createActors } from '../../src/service/runs/actors.ts';

const ANN = { kind: 'operator', name: 'ann', address: '192.0.2.1' } as const;

function open(intakes: Readonly<Record<string, string>> = {}) {
  const asked: unknown[] = [];
  const list = async (filter: unknown) => {
    asked.push(filter);
    return [{ actor: ANN }] as never;
  };
  return { asked, actorOf: createActors({ list }, (requestId) => intakes[requestId]) };
}

it('is the person whose command is on record', async () => {
  const { actorOf, asked } = open();
  expect(await actorOf('r1~abc', 'operator')).toEqual(ANN);
  expect(asked).toEqual([{ request: 'r1', action: 'command' }]);
});

it('is an event with the name of its intake, where one brought it', async () => {
  const { actorOf, asked } = open({ r1: 'eu' });
  expect(await actorOf('r1', 'event')).toEqual({ kind: 'event', name: 'eu' });
  expect(await actorOf('r1~abc', 'event')).toEqual({ kind: 'event', name: 'eu' });
  expect(await actorOf('r2', 'event')).toEqual({ kind: 'event' });
  expect(asked).toEqual([]);
});

it.each(['schedule', 'drift', 'startup'] as const)('is nobody by name for %s', async (kind) => {
  expect(await open({ r1: 'eu' }).actorOf('r1', kind)).toEqual({ kind });
});
