import type { Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Workloads } from '../cluster/workloads.ts';
import type { Clock } from '../core/clock.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import { type Answer, ask } from './ask.ts';
import { byWorkload } from './by-workload.ts';
import { createFailures, type OnRestartFailure } from './failures.ts';
import { type Group, keyOf, lacking, nameOf, since, untilDue } from './groups.ts';
import type { PendingRestart, RestartRecords } from './pending.ts';
import { closed, rolledOne } from './records.ts';
import { lookAtRolls } from './rolling.ts';

/** Whether a mapping names a workload, as records name it, still; also where there is no such mapping any more. */
export type IsRestartWanted = (mapping: string, workload: string) => boolean;

export interface RestartOptions {
  /** Changes within this time make one restart; 0: all that is pending is due. */
  readonly windowMs: number;
  /** How many workloads may roll together. */
  readonly atOnce: number;
  readonly signal?: AbortSignal;
}

export interface PassDeps {
  readonly audit: Pick<AuditStore, 'append'>;
  readonly workloads: Workloads;
  readonly clock: Clock;
  readonly tracer?: Tracer;
  /** Rolls that were seen to have ended, so that each is looked at until then only. */
  readonly ended: Set<string>;
  readonly onFailure?: OnRestartFailure | undefined;
  readonly isWanted?: IsRestartWanted | undefined;
}

/** How soon to look whether one of those that roll has ended. */
const WHILE_ROLLING_MS = 2_000;
/** How soon to go on with what was left, for want of an answer or at the end. */
const WHAT_IS_LEFT_MS = 10_000;
/** Well after a change of the configuration that has reached this replica last has reached it. */
const DIFFERING_MS = 2 * 60_000;

/** One look at everything that is pending. Gives when to look again, if anything is left. */
export async function runPass(
  { audit, workloads, clock, ended, onFailure, tracer = noTracer, isWanted = () => true }: PassDeps,
  { windowMs, atOnce, signal }: RestartOptions,
  { pending, rolls }: RestartRecords,
): Promise<number | undefined> {
  const call = signal === undefined ? {} : { signal };
  const now = clock.now();
  let nextMs: number | undefined;
  const lookAgain = (ms: number): void => {
    nextMs = Math.min(nextMs ?? ms, Math.max(0, ms));
  };
  const record = async (entries: readonly Entry[]): Promise<void> => {
    if (entries.length > 0) await audit.append(entries);
  };
  const failures = createFailures({ clock, record, lookAgain, onFailure, signal });

  const { rolling, seen, isRecorded } = await lookAtRolls(rolls, { workloads, ended, call });
  const { groups, selected } = await byWorkload(await drop(), { workloads, failures, call });
  /** Workloads with nothing left to do. */
  const done = new Set<string>();
  for (const it of groups) {
    const wait = untilDue(since(it), windowMs, now);
    if (wait > 0) lookAgain(wait);
    else if (failures.isCutOff() || signal?.aborted) lookAgain(WHAT_IS_LEFT_MS);
    else if (!(await roll(it))) break;
  }
  for (const [it, keys] of selected)
    if (keys.every((key) => done.has(key)))
      await record([closed(it, clock.now(), { counts: { workloads: keys.length } })]);
  return nextMs;

  /** Ends what was taken out of its mapping since. Another replica may have the mapping that wants it already. */
  async function drop(): Promise<readonly PendingRestart[]> {
    const left = pending.filter(
      ({ at, intent: { mapping = '', note = '' } }) => now - at > DIFFERING_MS && !isWanted(mapping, note),
    );
    await record(left.map((it) => closed(it, now, { counts: { dropped: 1 } })));
    return pending.filter((it) => !left.includes(it));
  }

  /** Gives whether the budget allows to go on. */
  async function roll(it: Group): Promise<boolean> {
    const { id } = it;
    const known = it.live ?? seen.get(keyOf(id));
    const answer = known === undefined ? await ask(() => workloads.read(id, call)) : { value: known };
    if ('error' in answer) {
      await failures.failed(it.pending, answer.error);
      return true;
    }
    const live = answer.value;
    if (live === undefined) {
      await gone(it);
      return true;
    }
    const annotations = lacking(live, it.pending);
    if (Object.keys(annotations).length === 0) {
      // It was rolled before a crash, or by somebody who was faster. One that is on record is no second one.
      const isNew = it.pending.some(({ intent }) => !isRecorded(id, intent.after));
      await settle(it, live.rolling && isNew ? 1 : 0);
      return true;
    }
    if (!rolling.has(keyOf(id)) && rolling.size >= atOnce) {
      lookAgain(WHILE_ROLLING_MS);
      return false;
    }
    const begunAt = clock.now();
    const written = await ask(() => workloads.annotatePods(live, annotations, call));
    tell(it, written, clock.now() - begunAt);
    if ('error' in written) await failures.failed(it.pending, written.error);
    else if (written.value === 'missing') await gone(it);
    else await settle(it, 1);
    return true;
  }

  /** Of a workload that is gone, those who named it fail; a selector no longer means it. */
  async function gone({ id, pending: asking }: Group): Promise<void> {
    done.add(keyOf(id));
    await failures.missing(asking.filter((it) => !selected.has(it)));
  }

  async function settle({ id, pending: asking }: Group, rolled: 0 | 1): Promise<void> {
    const [at, name] = [clock.now(), nameOf(id)];
    done.add(keyOf(id));
    if (rolled === 1) rolling.add(keyOf(id));
    await record(
      asking
        .filter((it) => !selected.has(it) || !it.rolled.has(name))
        .map((it) =>
          selected.has(it) ? rolledOne(it, at, name, rolled) : closed(it, at, { counts: { rolled } }),
        ),
    );
  }

  /** It belongs to each of the requests that changed what the workload is made of. */
  function tell({ pending: asking }: Group, answer: Answer<string>, ms: number): void {
    const result = 'error' in answer ? { code: answer.error.code } : { outcome: answer.value };
    for (const { requestId, mapping, namespace, secret } of asking.map(({ intent }) => intent))
      tracer.ended(
        'restart',
        {
          ...(mapping && { mapping }),
          ...(namespace && { namespace }),
          ...(secret && { secret }),
          ...result,
        },
        ms,
        requestId,
      );
  }
}
