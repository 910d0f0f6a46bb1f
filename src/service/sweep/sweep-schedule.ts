import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { toAppError } from '../../core/errors.ts';
import type { Logger } from '../../log/logger.ts';
import { type Queue, isQueueOutage } from '../../queue/queue.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import { type Round, roundAt } from './shards.ts';

/** Of what is due more often than this, a late tick may miss a round. */
const JUMP_MS = 30_000;

export interface SweepSchedule {
  /** Queues what has become due since the last call. */
  tick(): void;
  /** Queues these shards now: their store has come back. */
  queueNow(shards: Iterable<string>): void;
  /**
   * Queues what was queued in this round and not worked off since: the queue may have lost it, and takes it once.
   * @param sweptAt When a shard was last worked off, in milliseconds since 1970.
   */
  requeueLost(sweptAt: (shard: string) => number | undefined): void;
}

/**
 * Queues each shard once in each of its rounds. Every replica does so, and the queue takes the first. A shard that is new
 * here waits for its next round: a restart reads no more than going on would have.
 */
export function createSweepSchedule({
  queue,
  snapshot,
  clock,
  logger,
}: {
  readonly queue: Queue;
  readonly snapshot: () => ConfigSnapshot;
  readonly clock: Clock;
  readonly logger: Logger;
}): SweepSchedule {
  const rounds = new Map<string, Round>();
  /** Those of them that this process has queued. */
  const queued = new Map<string, Round>();

  const add = async (subject: string, once?: { id: string; ttlMs: number }): Promise<boolean> => {
    try {
      await queue.add(
        { subject, reason: 'sweep', requestId: randomUUID() },
        once === undefined ? {} : { once },
      );
      return true;
    } catch (thrown) {
      const error = toAppError(thrown);
      // The next round comes; how the queue is, its health tells.
      if (!isQueueOutage(error)) logger.error('a sweep could not be queued', { error });
      return false;
    }
  };

  const addRound = (name: string, round: Round, ttlMs: number): Promise<boolean> => {
    queued.set(name, round);
    return add(name, { id: String(round.round), ttlMs });
  };

  return {
    tick() {
      const { shards } = snapshot();
      for (const byShard of [rounds, queued])
        for (const name of byShard.keys()) if (!shards.has(name)) byShard.delete(name);
      for (const [name, { sweep }] of shards) {
        const now = clock.now();
        const current = rounds.get(name);
        if (current !== undefined && now >= current.from && now < current.until) continue;
        const next = roundAt(sweep, now);
        rounds.set(name, next);
        const [before, round] = [current?.round, next.round];
        // A clock that is set back gives rounds that were there already. One that jumps on gives rounds of all shards at
        // once, as a process does that was asleep: they are spread again over the next interval.
        const isJump = before !== undefined && round > before + 1 && sweep.refreshMs > JUMP_MS;
        if (before !== undefined && round > before && !isJump)
          void addRound(name, next, sweep.refreshMs).then((isQueued) => {
            // Tried again at the next tick; whichever replica is first, the queue takes it once.
            if (!isQueued && current !== undefined && rounds.get(name) === next) rounds.set(name, current);
          });
      }
    },
    queueNow(shards) {
      for (const name of shards) void add(name);
    },
    requeueLost(sweptAt) {
      for (const [name, { sweep }] of snapshot().shards) {
        const round = queued.get(name);
        if (round === undefined || rounds.get(name) !== round || (sweptAt(name) ?? 0) >= round.from) continue;
        void addRound(name, round, sweep.refreshMs);
      }
    },
  };
}
