import { skippedOrphans, warningsData } from '../commands/serve/answers.ts';
import type { SyncReport } from '../commands/sync.ts';
import { formatTarget, RUN_OUTCOMES, type TargetId } from '../core/target.ts';
import type { AwaitingReplacement } from '../reconcile/presence.ts';
import type { Context, GlobalOptions } from './context.ts';
import { EXIT, type ExitCode, exitCode } from './errors.ts';
import type { SyncedTarget, SyncResult } from './service/answers.ts';
import { safeText } from './service/error.ts';
import { type HeldChange, heldText, isListedAsHeld, pinText, targetData, warningLines } from './targets.ts';
import {
  commandRemedy,
  count,
  type Paint,
  painter,
  print,
  printErrorHint,
  printNotice,
} from './texts/output.ts';

/** The printable result of a run, either of this process or of a service. */
interface Run {
  readonly summary: Readonly<Record<string, number>>;
  readonly targets: readonly RunTarget[];
  readonly held: readonly HeldChange[];
  /** The reason why some targets were not processed. */
  readonly unfinished?: string | undefined;
}

interface RunTarget {
  readonly mapping: string;
  readonly target: TargetId;
  readonly kind: string;
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string } | undefined;
  readonly keys: readonly { readonly name: string; readonly action: string }[];
  readonly pinned?: number | undefined;
}

/** Prints the result of a run, and returns the exit code. */
export function printReport(context: Context, { output }: GlobalOptions, report: SyncReport): ExitCode {
  const { ok, requestId, summary, targets, held, unseen, waiting, unrestarted, interrupted } = report;
  const { unrotated = [], includes } = report;
  for (const target of unseen) printNotice(context, uncheckedText(target));
  for (const target of waiting) printNotice(context, waitingText(target));
  for (const failedRestart of unrestarted) printNotice(context, failedRestartText(failedRestart));
  for (const line of overdueTexts(unrotated)) printNotice(context, line);
  const warnings = warningsData(targets);
  for (const line of warningLines(warnings, painter(context.color))) printNotice(context, line);
  const unfinished = interrupted
    ? 'Stopped before all targets were processed; run the command again to continue.'
    : undefined;
  print(context, output, {
    data: {
      ok,
      requestId,
      summary,
      targets: targets.map((outcome) => targetData(outcome, 'outcome', outcome.kind)),
      held,
      ...skippedOrphans(report),
      ...(unrestarted.length === 0 ? {} : { unrestarted: unrestarted.map(restartData) }),
      ...(includes === undefined ? {} : { includes }),
      warnings,
      ...(unrotated.length === 0 ? {} : { notRotated: unrotated.map(overdueData) }),
    },
    human: (paint) => runText({ summary, targets: targets.map(commandTarget), held, unfinished }, paint),
  });
  printErrorHint(
    context,
    output,
    [...targets, ...unrestarted, ...unseen].map(({ error }) => error?.code),
  );
  return interrupted ? EXIT.retry : verdict(ok, targets, unrestarted);
}

function commandTarget({ error, ...target }: RunTarget): RunTarget {
  if (error === undefined) return target;
  const { code, message, remedy } = error;
  return { ...target, error: { code, message, remedy: commandRemedy(remedy) } };
}

type FailedRestart = SyncReport['unrestarted'][number];

function restartData({ error, ...restart }: FailedRestart): object {
  return { ...restart, ...error.toJSON() };
}

/** The Secret is updated, but the pods of the workload still use the old content. */
function failedRestartText({ workload, namespace, secret, error }: FailedRestart): string {
  return `not restarted after the change of ${namespace}/${secret}: ${workload}: ${error.code}: ${error.message}\n  ${error.remedy}`;
}

type OverdueSource = NonNullable<SyncReport['unrotated']>[number];

/** Returns the source, with the field names that `audit report` uses. */
function overdueData({ mapping, store, key, madeAt, ageMs, maxAgeMs }: OverdueSource) {
  const since = new Date(madeAt).toISOString();
  return { mapping, store, key, since, days: days(ageMs), maxDays: days(maxAgeMs) };
}

function days(ms: number): number {
  return Math.floor(ms / 86_400_000);
}

/** The maximum number of sources in the output. A search can find as many sources as its store has keys. */
const MAX_LISTED = 10;

function overdueTexts(unrotated: readonly OverdueSource[]): readonly string[] {
  const more = unrotated.length - MAX_LISTED;
  return [
    ...unrotated.slice(0, MAX_LISTED).map((source) => {
      const { mapping, store, key, since, days, maxDays } = overdueData(source);
      return `older than \`maxAge\`: ${safeText(`store ${store}, key ${key}`)} of mapping ${mapping}: unchanged since ${since.slice(0, 10)}${maxDays === 0 ? '' : `, ${count(days, 'day')} of ${maxDays}`}`;
    }),
    ...(more > 0 ? [`… and ${count(more, 'more source')}; \`--output json\` lists all`] : []),
  ];
}

/** Prints the result of a run of the service and returns its exit code. */
export function printServiceResult(
  context: Context,
  { output }: GlobalOptions,
  result: SyncResult,
): ExitCode {
  const { ok, summary, held, warnings, pending } = result;
  for (const line of warningLines(warnings, painter(context.color))) printNotice(context, line);
  const targets = result.targets.map(runTarget);
  const unfinished =
    pending > 0
      ? `The service is still working on ${count(pending, 'target')}; \`secretbridge status\` shows the result.`
      : undefined;
  print(context, output, {
    data: result,
    human: (paint) => runText({ summary, targets, held, unfinished }, paint),
  });
  printErrorHint(
    context,
    output,
    targets.map(({ error }) => error?.code),
  );
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
    mapping: safeText(mapping),
    target: { namespace: safeText(namespace), secret: safeText(secret) },
    kind: safeText(outcome),
    keys: keys.map(({ name, action }) => ({ name: safeText(name), action })),
    pinned: typeof pinned === 'number' ? pinned : undefined,
    ...(code === undefined
      ? {}
      : {
          error: { code: safeText(code), message: safeText(message ?? ''), remedy: safeText(remedy ?? '') },
        }),
  };
}

/**
 * Returns the exit code. If `ok` is false although nothing failed, targets were refused or are held. A failed restart
 * counts as a failure, because pods may still use an old value.
 */
function verdict(
  ok: boolean,
  targets: readonly RunTarget[],
  unrestarted: readonly FailedRestart[] = [],
): ExitCode {
  const changes = targets.some(({ kind }) => kind === 'waiting');
  const failures = [...targets.filter(({ kind }) => kind === 'failed'), ...unrestarted];
  return exitCode(
    failures.flatMap(({ error }) => error?.code ?? []),
    { person: !ok, changes },
  );
}

/** A target that this process or a service could not check. */
export interface UncheckedTarget {
  readonly what: string;
  readonly error: { readonly code: string };
}

/**
 * Describes a target that could not be checked. If this line were missing, users could conclude that the target will
 * not change.
 */
export function uncheckedText({ what, error }: UncheckedTarget): string {
  return `could not be checked, and may be orphaned: ${what}: ${error.code}`;
}

/**
 * Describes an orphaned target that cannot be removed yet. After a rename, the old target stays until the new target
 * exists, and that can take a long time.
 */
export function waitingText({ mapping, target, until }: AwaitingReplacement): string {
  if (formatTarget(until) === formatTarget(target))
    return `orphaned keys of mapping ${mapping} stay in ${formatTarget(target)} until all other mappings have merged into it`;
  return `orphaned target ${formatTarget(target)} of mapping ${mapping} stays until ${formatTarget(until)} exists`;
}

function runText({ targets, held, summary, unfinished }: Run, paint: Paint): string {
  const isListed = isListedAsHeld(held);
  const lines = targets
    .filter(({ kind, pinned }) => kind !== 'unchanged' || pinned !== undefined)
    .filter(({ kind, mapping, target }) => kind !== 'held' || !isListed(mapping, target))
    .map((outcome) => targetText(outcome, paint));
  const parts = RUN_OUTCOMES.filter((kind) => (summary[kind] ?? 0) > 0).map(
    (kind) => `${summary[kind]} ${kind}`,
  );
  const total = `${count(targets.length, 'target')}: ${parts.join(', ') || (unfinished === undefined ? 'nothing to do' : 'none processed')}.`;
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
  const what = isWritten ? changed.join(', ') || 'only labels and annotations' : '';
  const line = `${paint(style, kind.padEnd(9))} ${paint('bold', formatTarget(target))}  ${what || paint('dim', `mapping ${mapping}`)}${pinText(pinned)}`;
  return error === undefined
    ? line
    : `${line}\n  ${error.code}: ${error.message}\n  ${paint('dim', error.remedy)}`;
}
