import type { Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { LiveWorkload, WorkloadId, Workloads } from '../cluster/workloads.ts';
import { isAway, MOST_UNANSWERED } from '../core/away.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, healsItself, toAppError } from '../core/errors.ts';
import { noTracer, type Tracer } from '../core/tracer.ts';
import { parseWorkload } from '../sync/restart.ts';
import { type Group, inOrder, keyOf, lacking, nameOf, since, untilDue, workloadId } from './groups.ts';
import type { PendingRestart, RestartRecords, Rolled } from './pending.ts';
import { closed, delayed, rolledOne } from './records.ts';
import type { IsRestartWanted, OnRestartFailure, RestartOptions } from './restarts.ts';

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
const AFTER_FAILURE_MS = 10_000;
/** What only a person can mend. */
const UNTIL_MENDED_MS = 5 * 60_000;
/** Tried for so long, and then given up. */
const PATIENCE_MS = 24 * 60 * 60_000;
/** Well after a change of the configuration that has reached this replica last has reached it. */
const DIFFERING_MS = 2 * 60_000;

type Answer<T> = { readonly value: T } | { readonly error: AppError };

function isOld({ at }: PendingRestart, now: number): boolean {
  return now - at > PATIENCE_MS;
}

export interface Pass {
  /** Gives when to look again, if anything is left. */
  run(records: RestartRecords): Promise<number | undefined>;
}

/** One look at everything that is pending. */
export function createPass(deps: PassDeps, options: RestartOptions): Pass {
  const { audit, workloads, clock, ended, tracer = noTracer, isWanted = () => true } = deps;
  const { windowMs, atOnce, signal } = options;
  const call = signal === undefined ? {} : { signal };
  /** Those that roll because of us. */
  const rolling = new Set<string>();
  const seen = new Map<string, LiveWorkload | undefined>();
  /** Workloads with the contents that they were rolled for, as records say. */
  const recorded = new Set<string>();
  /** Workloads with nothing left to do. */
  const done = new Set<string>();
  /** What is on record of what failed in this pass; a selector fails once for all of its workloads. */
  const noted = new Map<PendingRestart, string>();
  let nextMs: number | undefined;
  let isCutOff = false;

  const lookAgain = (ms: number): void => {
    nextMs = Math.min(nextMs ?? ms, Math.max(0, ms));
  };
  const record = async (entries: readonly Entry[]): Promise<void> => {
    if (entries.length > 0) await audit.append(entries);
  };

  /** What the cluster may refuse is an answer; what the audit may refuse is not. */
  async function ask<T>(work: () => Promise<T>): Promise<Answer<T>> {
    try {
      return { value: await work() };
    } catch (thrown) {
      return { error: toAppError(thrown) };
    }
  }

  function say(
    pending: readonly PendingRestart[],
    error: AppError,
    isNew: (it: PendingRestart) => boolean = () => true,
  ): void {
    // What was broken off did not fail.
    if (signal?.aborted) return;
    for (const it of pending) {
      const { mapping = '', namespace = '', secret = '', note: workload = '' } = it.intent;
      deps.onFailure?.({ mapping, namespace, secret, workload, error }, isNew(it));
    }
  }

  /** Recorded when it begins or changes, and tried again; in the end given up. */
  async function failed(pending: readonly PendingRestart[], error: AppError): Promise<void> {
    const { code, retryAfterMs } = error;
    const now = clock.now();
    // The next call would wait for the same cluster.
    if (code === 'CLUSTER_UNAVAILABLE') isCutOff = true;
    // What is given up is so once; of the others, only what is new is recorded.
    const news = pending.filter((it) =>
      isOld(it, now) ? !noted.has(it) : (noted.get(it) ?? it.code) !== code,
    );
    for (const it of pending) noted.set(it, code);
    say(pending, error, (it) => news.includes(it));
    await record(news.map((it) => (isOld(it, now) ? closed(it, now, { code }) : delayed(it, now, code))));
    if (pending.some((it) => !isOld(it, now)))
      lookAgain(Math.max(retryAfterMs ?? 0, healsItself(code) ? AFTER_FAILURE_MS : UNTIL_MENDED_MS));
  }

  async function countRolling(rolls: readonly Rolled[]): Promise<void> {
    const nameOfRoll = ({ namespace, workload, at }: Rolled) => JSON.stringify([namespace, workload, at]);
    const current = new Set(rolls.map(nameOfRoll));
    for (const name of ended) if (!current.has(name)) ended.delete(name);
    let unanswered = 0;
    for (const roll of rolls) {
      const { namespace, workload, after } = roll;
      recorded.add(JSON.stringify([namespace, workload, after]));
      const { kind = '', name = '' } = parseWorkload(workload) ?? {};
      const id = workloadId(namespace, kind, name);
      if (id === undefined || ended.has(nameOfRoll(roll))) continue;
      const answer = unanswered < MOST_UNANSWERED ? await ask(() => workloads.read(id, call)) : undefined;
      if (answer !== undefined && 'value' in answer) seen.set(keyOf(id), answer.value);
      // One that cannot be looked at may well roll.
      if (answer === undefined || 'error' in answer || answer.value?.rolling) rolling.add(keyOf(id));
      else ended.add(nameOfRoll(roll));
      if (answer !== undefined && 'error' in answer && isAway(answer.error)) unanswered += 1;
    }
  }

  async function group(pending: readonly PendingRestart[]) {
    const groups = new Map<string, Group>();
    const selected = new Map<PendingRestart, readonly string[]>();
    const put = (id: WorkloadId, it: PendingRestart, live?: LiveWorkload): void => {
      const known = groups.get(keyOf(id)) ?? { id, pending: [] };
      known.live ??= live;
      known.pending.push(it);
      groups.set(keyOf(id), known);
    };
    const lists = new Map<string, Answer<readonly LiveWorkload[]>>();
    for (const it of pending) {
      const { namespace = '', note = '' } = it.intent;
      const { kind = '', name, selector } = parseWorkload(note) ?? {};
      const id = workloadId(namespace, kind, name ?? '');
      if (id === undefined) await missing([it]);
      else if (selector === undefined) put(id, it);
      else if (!isCutOff) {
        const key = JSON.stringify([namespace, note]);
        const list = () => workloads.list(id.kind, namespace, selector.matchLabels, call);
        const answer = lists.get(key) ?? (await ask(list));
        lists.set(key, answer);
        if ('error' in answer) await failed([it], answer.error);
        else {
          for (const live of answer.value) put(live.id, it, live);
          selected.set(
            it,
            answer.value.map(({ id }) => keyOf(id)),
          );
        }
      }
    }
    return { groups: inOrder(groups.values()), selected };
  }

  async function missing(pending: readonly PendingRestart[]): Promise<void> {
    const error = new AppError('WORKLOAD_MISSING');
    await record(pending.map((it) => closed(it, clock.now(), { code: error.code })));
    say(pending, error);
  }

  /** Of a workload that is gone, those who named it fail; a selector no longer means it. */
  async function gone({ id, pending }: Group, selected: ReadonlyMap<PendingRestart, unknown>): Promise<void> {
    done.add(keyOf(id));
    await missing(pending.filter((it) => !selected.has(it)));
  }

  async function settle(
    { id, pending }: Group,
    rolled: 0 | 1,
    selected: ReadonlyMap<PendingRestart, unknown>,
  ): Promise<void> {
    const [now, name] = [clock.now(), nameOf(id)];
    done.add(keyOf(id));
    if (rolled === 1) rolling.add(keyOf(id));
    await record(
      pending
        .filter((it) => !selected.has(it) || !it.rolled.has(name))
        .map((it) =>
          selected.has(it) ? rolledOne(it, now, name, rolled) : closed(it, now, { counts: { rolled } }),
        ),
    );
  }

  /** It belongs to each of the requests that changed what the workload is made of. */
  function tell(pending: readonly PendingRestart[], answer: Answer<string>, ms: number): void {
    const result = 'error' in answer ? { code: answer.error.code } : { outcome: answer.value };
    for (const { requestId, mapping, namespace, secret } of pending.map(({ intent }) => intent))
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

  /** Gives whether the budget allows to go on. */
  async function roll(it: Group, selected: ReadonlyMap<PendingRestart, unknown>): Promise<boolean> {
    const { id, pending } = it;
    const known = it.live ?? seen.get(keyOf(id));
    const answer = known === undefined ? await ask(() => workloads.read(id, call)) : { value: known };
    if ('error' in answer) {
      await failed(pending, answer.error);
      return true;
    }
    const live = answer.value;
    if (live === undefined) {
      await gone(it, selected);
      return true;
    }
    const annotations = lacking(live, pending);
    if (Object.keys(annotations).length === 0) {
      // It was rolled before a crash, or by somebody who was faster. One that is on record is no second one.
      const isNew = pending.some(
        ({ intent }) => !recorded.has(JSON.stringify([id.namespace, nameOf(id), intent.after])),
      );
      await settle(it, live.rolling && isNew ? 1 : 0, selected);
      return true;
    }
    if (!rolling.has(keyOf(id)) && rolling.size >= atOnce) {
      lookAgain(WHILE_ROLLING_MS);
      return false;
    }
    const begunAt = clock.now();
    const written = await ask(() => workloads.annotatePods(live, annotations, call));
    tell(pending, written, clock.now() - begunAt);
    if ('error' in written) await failed(pending, written.error);
    else if (written.value === 'missing') await gone(it, selected);
    else await settle(it, 1, selected);
    return true;
  }

  /** Ends what was taken out of its mapping since. Another replica may have the mapping that wants it already. */
  async function drop(pending: readonly PendingRestart[], now: number): Promise<readonly PendingRestart[]> {
    const left = pending.filter(
      ({ at, intent: { mapping = '', note = '' } }) => now - at > DIFFERING_MS && !isWanted(mapping, note),
    );
    await record(left.map((it) => closed(it, now, { counts: { dropped: 1 } })));
    return pending.filter((it) => !left.includes(it));
  }

  return {
    async run({ pending, rolls }: RestartRecords): Promise<number | undefined> {
      const now = clock.now();
      await countRolling(rolls);
      const { groups, selected } = await group(await drop(pending, now));
      for (const it of groups) {
        const wait = untilDue(since(it), windowMs, now);
        if (wait > 0) lookAgain(wait);
        else if (isCutOff || signal?.aborted) lookAgain(AFTER_FAILURE_MS);
        else if (!(await roll(it, selected))) break;
      }
      for (const [it, keys] of selected)
        if (keys.every((key) => done.has(key)))
          await record([closed(it, clock.now(), { counts: { workloads: keys.length } })]);
      return nextMs;
    },
  };
}
