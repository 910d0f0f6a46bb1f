import { expect, it } from 'vitest';
import type { ObjectEvent, ObjectEvents } from '../../src/cluster/team-ports.ts';
import { AppError } from '../../src/core/errors.ts';
import { EventWriter } from '../../src/service/event-writer.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const EVENT: ObjectEvent = {
  object: { kind: 'Secret', namespace: 'shop', name: 'db' },
  type: 'Normal',
  reason: 'Updated',
  message: 'the Secret was updated',
};

function open(fail: () => AppError | undefined = () => undefined) {
  const time = createManualTime();
  const written: string[] = [];
  const missing = new Set<string>();
  const warnings: string[] = [];
  let next = 0;
  const events: ObjectEvents = {
    exists: async () => true,
    async create({ object, message }) {
      const error = fail();
      if (error !== undefined) throw error;
      next += 1;
      written.push(`create ${message}`);
      return { namespace: object.namespace, name: `e${next}` };
    },
    async repeat({ name }, count) {
      if (missing.has(name)) return false;
      written.push(`repeat ${name} ${count}`);
      return true;
    },
  };
  const logger = { warn: (message: string) => void warnings.push(message) };
  const writer = new EventWriter({ events, clock: { now: time.now }, logger });
  return { writer, written, missing, warnings, time };
}

it('writes an event once, and counts its repetitions', async () => {
  const { writer, written } = open();
  for (let index = 0; index < 3; index += 1) {
    writer.write(EVENT);
    await writer.flush();
  }
  expect(written).toEqual(['create the Secret was updated', 'repeat e1 2', 'repeat e1 3']);
});

it('writes an event again that the cluster has deleted, or that is old', async () => {
  const { writer, written, missing, time } = open();
  writer.write(EVENT);
  await writer.flush();
  missing.add('e1');
  writer.write(EVENT);
  await writer.flush();
  await time.advance(11 * 60_000);
  writer.write(EVENT);
  await writer.flush();
  expect(written.map((line) => line.split(' ')[0])).toEqual(['create', 'create', 'create']);
});

it('limits the events of each object separately', async () => {
  const { writer, written } = open();
  for (let index = 0; index < 100; index += 1) writer.write({ ...EVENT, message: `m${index}` });
  writer.write({ ...EVENT, object: { ...EVENT.object, name: 'other' } });
  await writer.flush();
  expect(written).toHaveLength(26);
});

it('pauses after a failure, and reports the failure once', async () => {
  let error: AppError | undefined = new AppError('CLUSTER_FORBIDDEN');
  const { writer, written, warnings, time } = open(() => error);
  for (let index = 0; index < 5; index += 1) {
    writer.write({ ...EVENT, message: `m${index}` });
    await writer.flush();
  }
  expect(warnings).toEqual(['Kubernetes events could not be written']);
  error = undefined;
  writer.write(EVENT);
  await writer.flush();
  expect(written).toEqual([]);
  await time.advance(61_000);
  writer.write(EVENT);
  await writer.flush();
  expect(written).toEqual(['create the Secret was updated']);
});
