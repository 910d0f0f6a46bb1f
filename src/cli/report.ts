import type { SyncReport } from '../app/sync.ts';
import { formatTarget } from '../core/target.ts';
import type { Unseen } from '../reconcile/left.ts';
import { OUTCOMES, type Outcome } from '../reconcile/outcome.ts';
import type { Context, GlobalOptions } from './context.ts';
import { EXIT, type ExitCode, exitCode } from './exit.ts';
import { count, type Paint, print } from './output.ts';
import { heldText, targetData } from './targets.ts';

/** Prints what a run did to the cluster, and gives its exit code. */
export function printReport(context: Context, { output }: GlobalOptions, report: SyncReport): ExitCode {
  const { ok, requestId, summary, targets, held, unseen, interrupted } = report;
  for (const it of unseen) context.stderr.write(`${unseenText(it)}\n`);
  print(context, output, {
    data: {
      ok,
      requestId,
      summary,
      targets: targets.map((it) => targetData(it, 'outcome', it.kind)),
      held,
    },
    human: (paint) => reportText(report, paint),
  });
  if (interrupted) return EXIT.retry;
  const failures = targets.filter(({ kind }) => kind === 'failed');
  return exitCode(
    failures.flatMap(({ error }) => error?.code ?? []),
    { person: summary.refused + summary.held > 0 },
  );
}

/** That something was passed over, so that nobody takes silence for an answer. */
export function unseenText({ what, error }: Unseen): string {
  return `not looked at, though it may have left the configuration: ${what}: ${error.code}`;
}

function reportText({ targets, held, summary, interrupted }: SyncReport, paint: Paint): string {
  const lines = targets
    .filter(({ kind }) => kind !== 'unchanged')
    .map((outcome) => outcomeText(outcome, paint));
  const parts = OUTCOMES.filter((kind) => summary[kind] > 0).map((kind) => `${summary[kind]} ${kind}`);
  const stopped = interrupted ? ' Stopped before all were looked at; run it again to go on.' : '';
  const total = `${count(targets.length, 'target')}: ${parts.join(', ') || (interrupted ? 'none looked at' : 'nothing to do')}.${stopped}`;
  return [...lines, ...(lines.length > 0 ? [''] : []), ...heldText(held, paint), total].join('\n');
}

function outcomeText({ target, mapping, kind, error, keys }: Outcome, paint: Paint): string {
  const changed = keys.filter(({ action }) => action !== 'keep').map(({ name }) => name);
  const style = error === undefined ? 'green' : 'red';
  const what = error === undefined ? changed.join(', ') || 'labels and annotations only' : '';
  const line = `${paint(style, kind.padEnd(9))} ${paint('bold', formatTarget(target))}  ${what || paint('dim', `mapping ${mapping}`)}`;
  return error === undefined
    ? line
    : `${line}\n  ${error.code}: ${error.message}\n  ${paint('dim', error.todo)}`;
}
