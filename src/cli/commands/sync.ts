import type { App } from '../../app/app.ts';
import { type SyncReport, syncTargets } from '../../app/sync.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { createProgress } from '../progress.ts';
import { createClient } from '../service/client.ts';
import { syncThrough } from '../service/requests.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { withApp } from '../with-app.ts';

export async function syncCommand(
  context: Context,
  options: GlobalOptions & ServerOptions & { mapping?: string },
): Promise<number> {
  if (options.server !== undefined) return letService(options.server, context, options);
  const command = async (app: App) => printReport(context, options, await run(context, app, options.mapping));
  return withApp(context, options, command);
}

async function letService(
  server: string,
  context: Context,
  options: GlobalOptions & ServerOptions & { mapping?: string },
): Promise<number> {
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  return printServiceResult(context, options, await ask());

  async function ask() {
    using progress = createProgress(context, 'Syncing');
    return await syncThrough(client, options.mapping, progress);
  }
}

async function run(context: Context, app: App, only?: string): Promise<SyncReport> {
  using progress = createProgress(context, 'Syncing');
  // Await here, because the progress line is cleared at the end of this scope.
  return await syncTargets(app, {
    ...(only === undefined ? {} : { only }),
    onOutcome: ({ target, kind, proposal }, done, total) =>
      progress.step(done, total, `${formatTarget(target)} ${proposal === undefined ? kind : 'proposed'}`),
    signal: context.signal,
  });
}
