import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { App } from '../../app/app.ts';
import type { SavedPlan } from '../../commands/saved-plan.ts';
import type { SyncOptions, SyncReport } from '../../commands/sync.ts';
import type { PlanResult } from '../../commands/sync-plan.ts';
import { formatTarget } from '../../core/target.ts';
import { MAX_REASON_LENGTH, type WindowOverride } from '../../service/approvals.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCodeOf, fileError, UsageError } from '../errors.ts';
import { command, nonEmpty, type Run, withServer } from '../options.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { createProgress, isForPrograms, type Progress, print, printError } from '../texts/output.ts';
import { reportBrokenIncludes, withApp } from '../with-app.ts';

export function addSync(program: Command, context: Context, run: Run): void {
  const sync = command(program, 'sync', 'Sync every target once.', {
    examples: [
      'secretbridge sync',
      'secretbridge sync --mapping payments-db',
      'secretbridge sync --plan plan.json',
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
      '--plan <file>',
      'make only the changes of this plan, from `plan --out`; nothing if anything has changed since',
      nonEmpty,
    )
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
  readonly plan?: string;
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
  if (options.plan !== undefined) return syncPlanCommand(context, options, options.plan, override);
  if (options.server !== undefined) return letService(options.server, context, options);
  const command = async (app: App) => {
    const code = printReport(context, options, await run(context, app, options.mapping, override));
    return reportBrokenIncludes(context, app.config, code);
  };
  return withApp(context, options, command);
}

async function syncPlanCommand(
  context: Context,
  options: SyncCommandOptions,
  file: string,
  override: WindowOverride | undefined,
): Promise<number> {
  for (const name of ['server', 'mapping'] as const)
    if (options[name] !== undefined) throw new UsageError(`--plan and --${name} cannot be given together`);
  const saved = await readSavedPlan(context, file);
  return withApp(context, options, async (app) => {
    const result = await runPlan(context, app, saved, override);
    if (result.kind === 'outdated') return printOutdated(context, options, result);
    return reportBrokenIncludes(context, app.config, printReport(context, options, result.report));
  });
}

/** Reads a file of `plan --out`. @throws UsageError if the file is missing, or is not a saved plan. */
async function readSavedPlan({ cwd }: Context, file: string): Promise<SavedPlan> {
  const { parseSavedPlan } = await import('../../commands/saved-plan.ts');
  let text: string;
  try {
    text = await readFile(resolve(cwd, file), 'utf8');
  } catch (error) {
    throw fileError(error, file);
  }
  const plan = parseSavedPlan(text);
  if (plan !== undefined) return plan;
  throw new UsageError(`${file} is not a saved plan: make one with \`secretbridge plan --out ${file}\``);
}

async function runPlan(
  context: Context,
  app: App,
  saved: SavedPlan,
  override: WindowOverride | undefined,
): Promise<PlanResult> {
  const { syncPlan } = await import('../../commands/sync-plan.ts');
  await recordConfigurationOf(context, app);
  using progress = createProgress(context, 'Syncing');
  return await syncPlan(app, saved, syncOptions(context, progress, override));
}

/** Prints why a saved plan was not carried out, and returns the exit code. */
function printOutdated(
  context: Context,
  { output }: GlobalOptions,
  { error, moved }: Extract<PlanResult, { kind: 'outdated' }>,
): number {
  if (isForPrograms(output))
    print(context, output, { data: { error: error.toJSON(), moved }, human: () => '' });
  printError(context, 'human', error);
  return exitCodeOf(error);
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
  await recordConfigurationOf(context, app);
  using progress = createProgress(context, 'Syncing');
  // Await here, because the progress line is cleared at the end of this scope.
  return await syncTargets(app, {
    ...(only === undefined ? {} : { only }),
    ...syncOptions(context, progress, override),
  });
}

async function recordConfigurationOf({ env, user }: Context, app: App): Promise<void> {
  const { recordConfiguration } = await import('../../commands/configuration-facts.ts');
  await recordConfiguration(app, { actor: { kind: 'cli', name: user }, env });
}

function syncOptions(
  { signal }: Context,
  progress: Progress,
  override: WindowOverride | undefined,
): SyncOptions {
  return {
    override,
    onOutcome: ({ target, kind, proposal }, done, total) =>
      progress.step(done, total, `${formatTarget(target)} ${proposal === undefined ? kind : 'proposed'}`),
    signal,
  };
}
