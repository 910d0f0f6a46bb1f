import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { toAppError } from '../../core/errors.ts';
import { isQueueOutage, type Queue } from '../../queue/queue.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import { type Round, roundAt } from './shards.ts';

/**
 * A skipped round shows a clock jump only if the interval is longer than this. With a shorter interval, a late tick can
 * skip a round.
 */
const JUMP_MS = 30_000;

export interface SweepSchedule {
  /** Queues the shards that became due since the last call. */
  tick(): void;
  /** Queues these shards now, because their store recovered. */
  queueNow(shards: Iterable<string>): void;
  /**
   * Queues the current round of each shard again if it was queued but not swept, because the queue may have lost the
   * job. If the queue still contains the job, it drops the duplicate.
   *
   * @param sweptAt Returns the time of a shard's last sweep, in milliseconds since 1970.
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
        [{ subject, reason: 'sweep', requestId: randomUUID() }],
        once === undefined ? {} : { once },
      );
      return true;
    } catch (thrown) {
      const error = toAppError(thrown);
      // No retry here: `tick` tries again, and the queue's health reports an outage.
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
        // Do not queue after a clock jump. A clock set back would repeat old rounds, and a clock set forward, as after
        // a suspend, would make all shards due together.
        const isJump = before !== undefined && round > before + 1 && sweep.refreshMs > JUMP_MS;
        if (before !== undefined && round > before && !isJump)
          void addRound(name, next, sweep.refreshMs).then((isQueued) => {
            // Retry at the next tick. If another replica has queued the round meanwhile, the queue drops the duplicate.
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
