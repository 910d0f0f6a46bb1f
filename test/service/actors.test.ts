import { expect, it } from 'vitest';
import { createActors } from '../../src/service/runs/actors.ts';

const ANN = { kind: 'operator', name: 'ann', address: '192.0.2.1' } as const;

function open(intakes: Readonly<Record<string, string>> = {}) {
  const queries: unknown[] = [];
  const list = async (filter: unknown) => {
    queries.push(filter);
    return [{ actor: ANN }] as never;
  };
  return { queries, actorOf: createActors({ list }, (requestId) => intakes[requestId]) };
}

it('`actorOf` returns the person whose command is recorded under the request id', async () => {
  const { actorOf, queries } = open();
  expect(await actorOf('r1~abc', 'operator')).toEqual(ANN);
  expect(queries).toEqual([{ request: 'r1', action: 'command' }]);
});

it('`actorOf` returns the kind `event`, with the name of the event source that sent the event', async () => {
  const { actorOf, queries } = open({ r1: 'eu' });
  expect(await actorOf('r1', 'event')).toEqual({ kind: 'event', name: 'eu' });
  expect(await actorOf('r1~abc', 'event')).toEqual({ kind: 'event', name: 'eu' });
  expect(await actorOf('r2', 'event')).toEqual({ kind: 'event' });
  expect(queries).toEqual([]);
});

it.each(['schedule', 'drift', 'startup'] as const)('`actorOf` returns no name for %s', async (kind) => {
  expect(await open({ r1: 'eu' }).actorOf('r1', kind)).toEqual({ kind });
});
