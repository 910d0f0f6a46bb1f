import type { Command } from 'commander';
import type { App } from '../../app/app.ts';
import type { SyncReport } from '../../commands/sync.ts';
import { formatTarget } from '../../core/target.ts';
import { MAX_REASON_LENGTH, type WindowOverride } from '../../service/approvals.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { UsageError } from '../errors.ts';
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
    exits: [
      [0, 'every target is in sync'],
      [2, 'all other targets are in sync, and changes wait for their window'],
      INVALID_CONFIG,
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: ['plan', 'serve', 'docs/how-to/run-in-ci.md'],
  })
    .option('-m, --mapping <name>', 'only this mapping', nonEmpty)
    .option(
      '--override',
      'make changes outside of their `windows` too; needs --reason, and is flagged in the audit',
    )
    .option('--reason <text>', 'why; do not include values', nonEmpty);
  withServer(sync, 'send the request to the service at this address').action((options: SyncCommandOptions) =>
    run(async () => {
      context.keepHeapSmall?.('command');
      return syncCommand(context, options);
    }),
  );
}

interface SyncCommandOptions extends GlobalOptions, ServerOptions {
  readonly mapping?: string;
  readonly override?: boolean;
  readonly reason?: string;
}

/** @throws UsageError if only one of both options is given. */
function overrideIn({ override = false, reason = '' }: SyncCommandOptions): WindowOverride | undefined {
  const text = reason.trim();
  if (override !== (text !== '')) throw new UsageError('--override and --reason must be given together');
  if (text.length > MAX_REASON_LENGTH)
    throw new UsageError(`--reason can have at most ${MAX_REASON_LENGTH} characters`);
  return override ? { reason: text } : undefined;
}

export async function syncCommand(context: Context, options: SyncCommandOptions): Promise<number> {
  const override = overrideIn(options);
  if (options.server !== undefined) return letService(options.server, context, options);
  const command = async (app: App) => {
    const code = printReport(context, options, await run(context, app, options.mapping, override));
    return reportBrokenIncludes(context, app.config, code);
  };
  return withApp(context, options, command);
}

async function letService(server: string, context: Context, options: SyncCommandOptions): Promise<number> {
  const { createClient } = await import('../service/client.ts');
  const { syncThrough } = await import('../service/requests.ts');
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  return printServiceResult(context, options, await ask());

  async function ask() {
    using progress = createProgress(context, 'Syncing');
    return await syncThrough(client, options.mapping, progress, overrideIn(options));
  }
}

async function run(
  context: Context,
  app: App,
  only: string | undefined,
  override: WindowOverride | undefined,
): Promise<SyncReport> {
  const { syncTargets } = await import('../../commands/sync.ts');
  const { env, user, signal } = context;
  const { recordConfiguration } = await import('../../commands/configuration-facts.ts');
  await recordConfiguration(app, { actor: { kind: 'cli', name: user }, env });
  using progress = createProgress(context, 'Syncing');
  // Await here, because the progress line is cleared at the end of this scope.
  return await syncTargets(app, {
    ...(only === undefined ? {} : { only }),
    override,
    onOutcome: ({ target, kind, proposal }, done, total) =>
      progress.step(done, total, `${formatTarget(target)} ${proposal === undefined ? kind : 'proposed'}`),
    signal,
  });
}
