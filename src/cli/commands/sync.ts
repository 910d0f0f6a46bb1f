import type { Command } from 'commander';
import type { App } from '../../app/app.ts';
import type { SyncReport } from '../../commands/sync.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { command, nonEmpty, type Run, withServer } from '../options.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { createProgress } from '../texts/output.ts';
import { reportBrokenIncludes, withApp } from '../with-app.ts';

export function addSync(program: Command, context: Context, run: Run): void {
  const sync = command(program, 'sync', 'Sync every target once.', {
    examples: [
      'secretbridge sync',
      'secretbridge sync --mapping payments-db',
      'secretbridge sync --server https://secretbridge.internal:8080',
    ],
    exits: [[0, 'every target is in sync'], INVALID_CONFIG, RETRYABLE, NEEDS_PERSON],
    see: ['plan', 'serve', 'docs/how-to/run-in-ci.md'],
  }).option('-m, --mapping <name>', 'only this mapping', nonEmpty);
  withServer(sync, 'send the request to the service at this address').action(
    (options: GlobalOptions & ServerOptions & { mapping?: string }) =>
      run(async () => {
        context.keepHeapSmall?.('command');
        return syncCommand(context, options);
      }),
  );
}

export async function syncCommand(
  context: Context,
  options: GlobalOptions & ServerOptions & { mapping?: string },
): Promise<number> {
  if (options.server !== undefined) return letService(options.server, context, options);
  const command = async (app: App) => {
    const code = printReport(context, options, await run(context, app, options.mapping));
    return reportBrokenIncludes(context, app.config, code);
  };
  return withApp(context, options, command);
}

async function letService(
  server: string,
  context: Context,
  options: GlobalOptions & ServerOptions & { mapping?: string },
): Promise<number> {
  const { createClient } = await import('../service/client.ts');
  const { syncThrough } = await import('../service/requests.ts');
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  return printServiceResult(context, options, await ask());

  async function ask() {
    using progress = createProgress(context, 'Syncing');
    return await syncThrough(client, options.mapping, progress);
  }
}

async function run(context: Context, app: App, only?: string): Promise<SyncReport> {
  const { syncTargets } = await import('../../commands/sync.ts');
  const { env, user, signal } = context;
  const { recordConfiguration } = await import('../../commands/configuration-facts.ts');
  await recordConfiguration(app, { actor: { kind: 'cli', name: user }, env });
  using progress = createProgress(context, 'Syncing');
  // Await here, because the progress line is cleared at the end of this scope.
  return await syncTargets(app, {
    ...(only === undefined ? {} : { only }),
    onOutcome: ({ target, kind, proposal }, done, total) =>
      progress.step(done, total, `${formatTarget(target)} ${proposal === undefined ? kind : 'proposed'}`),
    signal,
  });
}
