import type { Entry } from '../audit/entry.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, healsItself } from '../core/errors.ts';
import { LONGEST_ASKED } from '../sync/schedule.ts';
import type { PendingRestart } from './pending.ts';
import { closed, delayed } from './records.ts';

/** A restart that could not be made. */
export interface FailedRestart {
  readonly mapping: string;
  readonly namespace: string;
  /** Whose change asks for it. */
  readonly secret: string;
  /** As records name it: `Deployment/web`, or `Deployment` with a selector. */
  readonly workload: string;
  readonly error: AppError;
}

/** @param isNew It has just begun to fail, or to fail in another way. */
export type OnRestartFailure = (it: FailedRestart, isNew: boolean) => void;

export interface FailuresDeps {
  readonly clock: Clock;
  readonly record: (entries: readonly Entry[]) => Promise<void>;
  readonly lookAgain: (ms: number) => void;
  readonly onFailure?: OnRestartFailure | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What could not be made in one pass: put on record, told, and tried again. */
export interface Failures {
  /** Recorded when it begins or changes, and tried again; in the end given up. */
  failed(pending: readonly PendingRestart[], error: AppError): Promise<void>;
  /** Of those who name a workload that is not there. */
  missing(pending: readonly PendingRestart[]): Promise<void>;
  /** Whether the cluster does not answer: the next call would wait for the same. */
  isCutOff(): boolean;
}

const AFTER_FAILURE_MS = 10_000;
/** What only a person can mend. */
const UNTIL_MENDED_MS = 5 * 60_000;
/** Tried for so long, and then given up. */
const PATIENCE_MS = 24 * 60 * 60_000;

export function createFailures({ clock, record, lookAgain, onFailure, signal }: FailuresDeps): Failures {
  /** What is on record of what failed in this pass; a selector fails once for all of its workloads. */
  const noted = new Map<PendingRestart, string>();
  let isCutOff = false;

  const say = (pending: readonly PendingRestart[], error: AppError, news = pending): void => {
    // What was broken off did not fail.
    if (signal?.aborted) return;
    for (const it of pending) {
      const { mapping = '', namespace = '', secret = '', note: workload = '' } = it.intent;
      onFailure?.({ mapping, namespace, secret, workload, error }, news.includes(it));
    }
  };
  return {
    isCutOff: () => isCutOff,
    async failed(pending, error) {
      const { code } = error;
      const asked = Math.min(error.retryAfterMs ?? 0, LONGEST_ASKED);
      const now = clock.now();
      const isOld = ({ at }: PendingRestart): boolean => now - at > PATIENCE_MS;
      if (code === 'CLUSTER_UNAVAILABLE') isCutOff = true;
      // What is given up is so once; of the others, only what is new is recorded.
      const news = pending.filter((it) => (isOld(it) ? !noted.has(it) : (noted.get(it) ?? it.code) !== code));
      for (const it of pending) noted.set(it, code);
      say(pending, error, news);
      await record(news.map((it) => (isOld(it) ? closed(it, now, { code }) : delayed(it, now, code))));
      if (!pending.every(isOld))
        lookAgain(Math.max(asked, healsItself(code) ? AFTER_FAILURE_MS : UNTIL_MENDED_MS));
    },
    async missing(pending) {
      const error = new AppError('WORKLOAD_MISSING');
      await record(pending.map((it) => closed(it, clock.now(), { code: error.code })));
      say(pending, error);
    },
  };
}
