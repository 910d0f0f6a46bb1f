import { type SyncReport, syncTargets } from '../../app/sync.ts';
import { formatTarget } from '../../core/target.ts';
import { OUTCOMES, type Outcome } from '../../reconcile/outcome.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, exitCode } from '../exit.ts';
import { count, type Paint, print } from '../output.ts';
import { createProgress } from '../progress.ts';
import { heldData, heldText, targetData } from '../targets.ts';
import { withApp } from '../with-app.ts';

export async function syncCommand(
  context: Context,
  options: GlobalOptions & { mapping?: string },
): Promise<number> {
  return withApp(context, options, async (app) => {
    const report = await run(context, app, options.mapping);
    print(context, options.output, {
      data: {
        ok: report.ok,
        requestId: report.requestId,
        summary: report.summary,
        targets: report.targets.map((it) => targetData(it, 'outcome', it.kind)),
        held: report.held.map(heldData),
      },
      human: (paint) => syncText(report, paint),
    });
    if (report.interrupted) return EXIT.retry;
    return exitCode(report.targets.flatMap(({ error }) => (error === undefined ? [] : [error.code])));
  });
}

async function run(
  context: Context,
  app: Parameters<typeof syncTargets>[0],
  only?: string,
): Promise<SyncReport> {
  using progress = createProgress(context, 'Syncing');
  // Awaited here: the line of progress is wiped when it is done with.
  return await syncTargets(app, {
    ...(only === undefined ? {} : { only }),
    onOutcome: ({ target, kind }, done, total) =>
      progress.step(done, total, `${formatTarget(target)} ${kind}`),
    signal: context.signal,
  });
}

function syncText({ targets, held, summary, interrupted }: SyncReport, paint: Paint): string {
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
