import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { toAppError } from '../../core/errors.ts';
import type { Logger } from '../../log/logger.ts';
import { isQueueOutage, type Queue } from '../../queue/queue.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import { type Round, roundAt } from './shards.ts';

/** With shorter intervals a late tick may skip a round. */
const JUMP_MS = 30_000;

export interface SweepSchedule {
  /** Queues the shards that became due since the last call. */
  tick(): void;
  /** Queues these shards now, because their store recovered. */
  queueNow(shards: Iterable<string>): void;
  /**
   * Queues the current round of each shard again if it was queued and not swept. The queue may have lost it, and
   * otherwise drops the duplicate.
   *
   * @param sweptAt Time of a shard's last sweep, in milliseconds since 1970.
   */
  requeueLost(sweptAt: (shard: string) => number | undefined): void;
}

/**
 * Queues each shard once per round. Every replica does so, and the queue drops the duplicates. A new shard waits for
 * its next round, so a restart causes no extra reads.
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
  /** The rounds that this process has queued. */
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
      // The next round follows. The queue's health reports an outage.
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
        // A clock set back repeats old rounds. A clock that jumps forward, as after suspend, makes all shards due at
        // once. Skip both, so that the rounds stay spread.
        const isJump = before !== undefined && round > before + 1 && sweep.refreshMs > JUMP_MS;
        if (before !== undefined && round > before && !isJump)
          void addRound(name, next, sweep.refreshMs).then((isQueued) => {
            // Retry at the next tick. The queue drops the duplicate of another replica.
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
