import type { App } from '../../app/app.ts';
import { type SyncReport, syncTargets } from '../../app/sync.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { createProgress } from '../progress.ts';
import { printReport } from '../report.ts';
import { withApp } from '../with-app.ts';

export async function syncCommand(
  context: Context,
  options: GlobalOptions & { mapping?: string },
): Promise<number> {
  return withApp(context, options, async (app) =>
    printReport(context, options, await run(context, app, options.mapping)),
  );
}

async function run(context: Context, app: App, only?: string): Promise<SyncReport> {
  using progress = createProgress(context, 'Syncing');
  // Awaited here: the line of progress is wiped when it is done with.
  return await syncTargets(app, {
    ...(only === undefined ? {} : { only }),
    onOutcome: ({ target, kind, proposal }, done, total) =>
      progress.step(done, total, `${formatTarget(target)} ${proposal === undefined ? kind : 'proposed'}`),
    signal: context.signal,
  });
}
