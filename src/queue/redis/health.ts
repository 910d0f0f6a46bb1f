import { randomUUID } from 'node:crypto';
import { createHealthBoard, type HealthBoard } from '../health.ts';
import type { QueueHealth } from '../queue.ts';
import { type Timers, within } from '../timers.ts';
import { COMMAND_MS, type RedisClients } from './clients.ts';
import {
  EMPTIED,
  EVICTS,
  healthOf,
  LOST,
  PAUSED,
  refusalOf,
  SILENT,
  saysLittle,
  showsInUse,
  type Trouble,
  troubleOf,
} from './errors.ts';

export interface RedisHealth extends Pick<HealthBoard, 'get' | 'listen'> {
  /** Something failed on any connection, as the vendor threw it. */
  trouble(thrown: unknown): void;
  close(): void;
}

const PROBE_MS = 3_000;
/** For so long what shows in use only is believed in, although Redis answers. */
const HELD_MS = 15_000;
/** The policy is set by people, and seldom. */
const PROBES_PER_POLICY = 20;

export interface HealthKeys {
  /** Ours alone. */
  readonly epoch: string;
  /** Where BullMQ keeps what holds for the whole queue. */
  readonly meta: string;
}

/**
 * Whether jobs can be added, and are handed out: asked by a small write every few seconds, since a Redis that is full, a replica or
 * frozen still looks connected. The key that it writes stays the same for as long as Redis keeps its data: one
 * that is gone tells of a loss, even when no connection broke.
 */
export function watchHealth(
  { quick, subscriber }: Pick<RedisClients, 'quick' | 'subscriber'>,
  { epoch: key, meta }: HealthKeys,
  timers: Timers,
): RedisHealth {
  const board = createHealthBoard(healthOf({ state: 'down', detail: 'not connected yet' }));
  let epoch: string | undefined;
  let heldAt = Number.NEGATIVE_INFINITY;
  let probes = 0;
  let evicts = false;
  let closed = false;
  let probing = false;
  let callOff = (): void => {};

  const fails = (trouble: Trouble, cause: unknown): void => {
    if (closed) return;
    if (showsInUse(trouble)) heldAt = timers.now();
    board.set(healthOf(trouble, cause));
  };

  const trouble = (thrown: unknown): void => {
    const refusal = refusalOf(thrown);
    if (refusal !== undefined) fails(refusal, thrown);
    // The other connections come and go on their own; whether jobs can be added, this one knows.
    else if (quick.status !== 'ready') {
      const found = troubleOf(thrown);
      // What a person is told to mend says more.
      const { state, error } = board.get();
      const isToMend = state === 'down' && error?.code === 'QUEUE_MISCONFIGURED';
      if (!(isToMend && saysLittle(found))) fails(found, thrown);
    }
  };

  /** The value that stands; a new one means that the old ones are gone. */
  const readEpoch = async (): Promise<string> => {
    const mine = randomUUID();
    const made = await quick.set(key, mine, 'NX');
    return made === 'OK' ? mine : ((await quick.get(key)) ?? mine);
  };

  const probe = async (): Promise<void> => {
    // What is added from here on reaches Redis after the question for its epoch, on the same connection.
    const asOf = timers.now();
    const found = await readEpoch();
    if (probes % PROBES_PER_POLICY === 0) evicts = await mayEvict(quick);
    probes += 1;
    // By a program that shows queues. Jobs are taken still, and nobody would get one.
    const isPaused = (await quick.hexists(meta, 'paused')) === 1;
    if (closed) return;
    if (epoch !== undefined && epoch !== found) board.set(healthOf(EMPTIED));
    epoch = found;
    // By distance: a clock that was set back must not keep it for hours.
    if (Math.abs(timers.now() - heldAt) < HELD_MS) return;
    const health: QueueHealth = isPaused ? healthOf(PAUSED) : evicts ? healthOf(EVICTS) : { state: 'up' };
    board.set({ ...health, asOf });
  };

  const turn = async (): Promise<void> => {
    if (probing || closed) return;
    probing = true;
    callOff();
    try {
      if (quick.status === 'ready') await probe();
    } catch (thrown) {
      const found = troubleOf(thrown);
      fails(found, thrown);
      // A connection on which nothing comes back may be half open: only a new one can tell.
      if (found === SILENT) quick.disconnect(true);
    } finally {
      probing = false;
      if (!closed) callOff = timers.wake(() => void turn(), PROBE_MS);
    }
    await checkSubscriber();
  };

  const checkSubscriber = async (): Promise<void> => {
    if (subscriber.status !== 'ready') return;
    const answer = await within(subscriber.ping().catch(troubleOf), 2 * COMMAND_MS, timers);
    if (answer === undefined && !closed) subscriber.disconnect(true);
  };

  quick.on('ready', () => {
    probes = 0;
    void turn();
  });
  // The error that ended the connection came before, and says more.
  quick.on('close', () => {
    if (!closed && board.get().state !== 'down') board.set(healthOf(LOST));
  });
  callOff = timers.wake(() => void turn(), PROBE_MS);

  return {
    get: board.get,
    listen: board.listen,
    trouble,
    close() {
      closed = true;
      callOff();
    },
  };
}

async function mayEvict(client: RedisClients['quick']): Promise<boolean> {
  // One of the rights that an ACL seldom gives; BullMQ needs it too.
  const info = await client.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  return policy !== undefined && policy !== 'noeviction';
}
