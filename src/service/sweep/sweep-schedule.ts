import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type AddOptions, errorToLog, type Queue } from '../../queue/queue.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import { type Round, roundAt, type Sweep } from './shards.ts';

/**
 * If the interval is longer than this, a skipped round shows that the clock jumped. If the interval is shorter, a late
 * tick can skip a round too.
 */
const JUMP_MS = 30_000;

export interface SweepScheduleDeps {
  readonly queue: Queue;
  readonly snapshot: () => ConfigSnapshot;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Queues each shard once per round. Every replica does so, and the queue drops the duplicates. A new shard waits for
 * its next round, so a restart causes no extra reads.
 */
export class SweepSchedule {
  readonly #deps: SweepScheduleDeps;
  readonly #rounds = new Map<string, Round>();
  /** The rounds that this process has queued. */
  readonly #queued = new Map<string, Round>();

  constructor(deps: SweepScheduleDeps) {
    this.#deps = deps;
  }

  /** Queues the shards that became due since the last call. */
  tick(): void {
    const { shards } = this.#deps.snapshot();
    for (const byShard of [this.#rounds, this.#queued])
      for (const name of byShard.keys()) if (!shards.has(name)) byShard.delete(name);
    for (const [name, { sweep }] of shards) this.#advance(name, sweep);
  }

  /** Queues these shards now, because their store recovered. */
  queueNow(shards: Iterable<string>): void {
    for (const name of shards) void this.#add(name);
  }

  /**
   * Queues the current round of each shard again if it was queued but not swept, because the queue may have lost the
   * job. If the queue still contains the job, it drops the duplicate.
   *
   * @param sweptAt Returns the time of a shard's last sweep, in milliseconds since 1970.
   */
  requeueLost(sweptAt: (shard: string) => number | undefined): void {
    for (const [name, { sweep }] of this.#deps.snapshot().shards) {
      const round = this.#queued.get(name);
      if (round === undefined || this.#rounds.get(name) !== round || (sweptAt(name) ?? 0) >= round.from)
        continue;
      void this.#addRound(name, round, sweep.refreshMs);
    }
  }

  #advance(name: string, sweep: Sweep): void {
    const now = this.#deps.clock.now();
    const current = this.#rounds.get(name);
    if (current !== undefined && now >= current.from && now < current.until) return;
    const next = roundAt(sweep, now);
    this.#rounds.set(name, next);
    if (current === undefined || next.round <= current.round) return;
    // Do not queue after a clock jump. A clock set back would repeat old rounds, and a clock set forward, as after
    // a suspend, would make all shards due together.
    if (next.round > current.round + 1 && sweep.refreshMs > JUMP_MS) return;
    void this.#addRound(name, next, sweep.refreshMs).then((isQueued) => {
      // Retry at the next tick. If another replica has queued the round meanwhile, the queue drops the duplicate.
      if (!isQueued && this.#rounds.get(name) === next) this.#rounds.set(name, current);
    });
  }

  #addRound(name: string, round: Round, ttlMs: number): Promise<boolean> {
    this.#queued.set(name, round);
    return this.#add(name, { once: { id: String(round.round), ttlMs } });
  }

  async #add(subject: string, options: AddOptions = {}): Promise<boolean> {
    const { queue, logger } = this.#deps;
    try {
      const group = this.#deps.snapshot().shards.get(subject)?.include?.path;
      const job = { subject, reason: 'sweep', requestId: randomUUID() } as const;
      await queue.add([group === undefined ? job : { ...job, group }], options);
      return true;
    } catch (thrown) {
      // No retry here, because `tick` tries again.
      const error = errorToLog(thrown);
      if (error !== undefined) logger.error('a sweep could not be queued', { error });
      return false;
    }
  }
}
