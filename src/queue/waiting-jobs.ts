import { type Job, REASONS, rankOf } from './queue.ts';

/** The jobs that are ready to run, at most one for each subject. */
export class WaitingJobs {
  readonly #byRank: readonly Line[] = REASONS.map(() => new Line());
  readonly #bySubject = new Map<string, Job>();

  get size(): number {
    return this.#bySubject.size;
  }

  add(job: Job, repeat: boolean): void {
    const { subject } = job;
    const before = this.#bySubject.get(subject);
    const merged = merge(before, job, repeat);
    // A job with unchanged priority keeps its position.
    if (before !== undefined && !isSameLine(before, merged)) this.#remove(before);
    this.#byRank[rankOf(merged)]?.set(merged);
    this.#bySubject.set(subject, merged);
  }

  /** Removes and returns the most urgent job. */
  take(): Job | undefined {
    const job = this.#byRank.find(({ isEmpty }) => !isEmpty)?.next();
    if (job !== undefined) this.#remove(job);
    return job;
  }

  clear(): void {
    for (const job of [...this.#bySubject.values()]) this.#remove(job);
  }

  #remove(job: Job): void {
    this.#byRank[rankOf(job)]?.delete(job);
    this.#bySubject.delete(job.subject);
  }
}

function isSameLine(a: Job, b: Job): boolean {
  return rankOf(a) === rankOf(b) && a.group === b.group;
}

/** Waiting jobs of the same reason. Their groups take turns. */
class Line {
  /** The jobs of each group by subject. The group whose turn is next comes first. */
  readonly #groups = new Map<string, Map<string, Job>>();

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  set(job: Job): void {
    const { group = '', subject } = job;
    this.#groups.set(group, (this.#groups.get(group) ?? new Map<string, Job>()).set(subject, job));
  }

  delete({ group = '', subject }: Job): void {
    const jobs = this.#groups.get(group);
    jobs?.delete(subject);
    if (jobs?.size === 0) this.#groups.delete(group);
  }

  /** Returns the next job. The next call returns a job of another group, if there is one. */
  next(): Job | undefined {
    for (const [group, jobs] of this.#groups) {
      this.#groups.delete(group);
      this.#groups.set(group, jobs);
      for (const job of jobs.values()) return job;
    }
    return undefined;
  }
}

/**
 * Returns the more urgent job. If both are equally urgent, returns the newer one, because a person may wait for its
 * request id.
 */
export function merge(older: Job | undefined, newer: Job, repeat: boolean): Job {
  if (older === undefined) return newer;
  return !repeat && rankOf(newer) <= rankOf(older) ? newer : older;
}
