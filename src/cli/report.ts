import { passedOver } from '../app/serve/run-answer.ts';
import type { SyncReport } from '../app/sync.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { OUTCOMES } from '../reconcile/outcome.ts';
import type { Waiting } from '../reconcile/standing.ts';
import type { Context, GlobalOptions } from './context.ts';
import { EXIT, type ExitCode, exitCode } from './exit.ts';
import type { SyncedTarget, SyncResult } from './service/answers.ts';
import { plain } from './service/error.ts';
import { type HeldChange, heldText, pinText, targetData } from './targets.ts';
import { count, type Paint, print, tell } from './texts/output.ts';

/** What a person reads about a run, whoever ran it. */
interface Run {
  readonly summary: Readonly<Record<string, number>>;
  readonly targets: readonly RunTarget[];
  readonly held: readonly HeldChange[];
  /** Why not all were looked at. */
  readonly unfinished?: string | undefined;
}

interface RunTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly kind: string;
  readonly error?: { readonly code: string; readonly message: string; readonly todo: string } | undefined;
  readonly keys: readonly { readonly name: string; readonly action: string }[];
  readonly pinned?: number | undefined;
}

/** Prints what a run did to the cluster, and gives its exit code. */
export function printReport(context: Context, { output }: GlobalOptions, report: SyncReport): ExitCode {
  const { ok, requestId, summary, targets, held, unseen, waiting, unrestarted, interrupted } = report;
  const { unrotated = [] } = report;
  for (const it of unseen) tell(context, unseenText(it));
  for (const it of waiting) tell(context, waitingText(it));
  for (const it of unrestarted) tell(context, unrestartedText(it));
  for (const line of unrotatedTexts(unrotated)) tell(context, line);
  const unfinished = interrupted ? 'Stopped before all were looked at; run it again to go on.' : undefined;
  print(context, output, {
    data: {
      ok,
      requestId,
      summary,
      targets: targets.map((it) => targetData(it, 'outcome', it.kind)),
      held,
      ...passedOver(report),
      ...(unrestarted.length === 0 ? {} : { unrestarted: unrestarted.map(restartData) }),
      ...(unrotated.length === 0 ? {} : { notRotated: unrotated.map(unrotatedData) }),
    },
    human: (paint) => runText({ summary, targets, held, unfinished }, paint),
  });
  return interrupted ? EXIT.retry : verdict(ok, targets, unrestarted);
}

type Unrestarted = SyncReport['unrestarted'][number];

function restartData({ error: { code }, ...it }: Unrestarted): object {
  return { ...it, code };
}

/** The target has its content, and the pods go on with what they have read before. */
function unrestartedText({ workload, namespace, secret, error }: Unrestarted): string {
  return `not restarted after the change of ${namespace}/${secret}: ${workload}: ${error.code}: ${error.message}`;
}

type Unrotated = NonNullable<SyncReport['unrotated']>[number];

/** With the words of `audit report`. */
function unrotatedData({ mapping, store, key, madeAt, ageMs, maxAgeMs }: Unrotated) {
  const since = new Date(madeAt).toISOString();
  return { mapping, store, key, since, days: days(ageMs), maxDays: days(maxAgeMs) };
}

function days(ms: number): number {
  return Math.floor(ms / 86_400_000);
}

/** So many are named; there may be one for each key of a store. */
const NAMED = 10;

function unrotatedTexts(unrotated: readonly Unrotated[]): readonly string[] {
  const more = unrotated.length - NAMED;
  return [
    ...unrotated.slice(0, NAMED).map((it) => {
      const { mapping, store, key, since, days, maxDays } = unrotatedData(it);
      return `not rotated for longer than \`maxAge\`: ${plain(`store ${store}, key ${key}`)} of mapping ${mapping}: since ${since.slice(0, 10)}${maxDays === 0 ? '' : `, ${count(days, 'day')} of ${maxDays}`}`;
    }),
    ...(more > 0 ? [`… and ${count(more, 'source')} more, which \`--output json\` names`] : []),
  ];
}

/** The same for what a running service did. */
export function printResult(context: Context, { output }: GlobalOptions, result: SyncResult): ExitCode {
  const { ok, summary, held, pending } = result;
  const targets = result.targets.map(runTarget);
  const unfinished =
    pending > 0
      ? `The service still works on ${count(pending, 'target')}; \`secretbridge status\` shows how they end.`
      : undefined;
  print(context, output, {
    data: result,
    human: (paint) => runText({ summary, targets, held, unfinished }, paint),
  });
  return pending > 0 ? EXIT.retry : verdict(ok, targets);
}

function runTarget({
  mapping,
  namespace,
  secret,
  outcome,
  code,
  message,
  remedy,
  keys,
  pinned,
}: SyncedTarget): RunTarget {
  return {
    mapping: plain(mapping),
    target: { namespace: plain(namespace), secret: plain(secret) },
    kind: plain(outcome),
    keys: keys.map(({ name, action }) => ({ name: plain(name), action })),
    pinned: typeof pinned === 'number' ? pinned : undefined,
    ...(code === undefined
      ? {}
      : { error: { code: plain(code), message: plain(message ?? ''), todo: plain(remedy ?? '') } }),
  };
}

/**
 * What is not well and no failure was refused or is held. Pods that go on with an old value are a failure as well; of a
 * workload that is not there, there are none.
 */
function verdict(
  ok: boolean,
  targets: readonly RunTarget[],
  unrestarted: readonly Unrestarted[] = [],
): ExitCode {
  const old = unrestarted.filter(({ error }) => error.code !== 'WORKLOAD_MISSING');
  const failures = [...targets.filter(({ kind }) => kind === 'failed'), ...old];
  return exitCode(
    failures.flatMap(({ error }) => error?.code ?? []),
    { person: !ok },
  );
}

/** What could not be looked at, here or by a service. */
export interface Missed {
  readonly what: string;
  readonly error: { readonly code: string };
}

/** That something was passed over, so that nobody takes silence for an answer. */
export function unseenText({ what, error }: Missed): string {
  return `not looked at, though it may have left the configuration: ${what}: ${error.code}`;
}

/** A rename creates the new before it removes the old, and the new one may be long in coming. */
export function waitingText({ mapping, target, until }: Waiting): string {
  if (formatTarget(until) === formatTarget(target))
    return `stay until all that merges into ${formatTarget(target)} has done so: the keys of mapping ${mapping}, which no longer wants them`;
  return `stays until ${formatTarget(until)} is there: ${formatTarget(target)} of mapping ${mapping}, which no longer wants it`;
}

function runText({ targets, held, summary, unfinished }: Run, paint: Paint): string {
  const lines = targets
    .filter(({ kind, pinned }) => kind !== 'unchanged' || pinned !== undefined)
    .map((outcome) => targetText(outcome, paint));
  const parts = OUTCOMES.filter((kind) => (summary[kind] ?? 0) > 0).map((kind) => `${summary[kind]} ${kind}`);
  const total = `${count(targets.length, 'target')}: ${parts.join(', ') || (unfinished === undefined ? 'nothing to do' : 'none looked at')}.`;
  return [
    ...lines,
    ...(lines.length > 0 ? [''] : []),
    ...heldText(held, paint),
    unfinished === undefined ? total : `${total} ${unfinished}`,
  ].join('\n');
}

function targetText({ target, mapping, kind, error, keys, pinned }: RunTarget, paint: Paint): string {
  const changed = keys.filter(({ action }) => action !== 'keep').map(({ name }) => name);
  const style = error === undefined ? 'green' : 'red';
  const isWritten = error === undefined && kind !== 'unchanged';
  const what = isWritten ? changed.join(', ') || 'labels and annotations only' : '';
  const line = `${paint(style, kind.padEnd(9))} ${paint('bold', formatTarget(target))}  ${what || paint('dim', `mapping ${mapping}`)}${pinText(pinned)}`;
  return error === undefined
    ? line
    : `${line}\n  ${error.code}: ${error.message}\n  ${paint('dim', error.todo)}`;
}
