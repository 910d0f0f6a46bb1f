import type { Command } from 'commander';
import type { PlannedTarget } from '../../commands/planned-targets.ts';
import type { TargetId } from '../../core/target.ts';
import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, type ExitCode } from '../errors.ts';
import { command, type Run, withServer } from '../options.ts';
import type { OrphansAnswer, SkippedOrphans } from '../service/answers.ts';
import { safeText } from '../service/error.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import {
  printReport,
  printServiceResult,
  type UncheckedTarget,
  uncheckedText,
  waitingText,
} from '../sync-report.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { count, printNotice } from '../texts/output.ts';
import { withApp } from '../with-app.ts';
import { printPlan } from './plan.ts';

export function addPrune(program: Command, context: Context, run: Run): void {
  const prune = command(
    program,
    'prune',
    'List orphaned targets, which no mapping uses any more, or delete them with --yes.',
    {
      examples: ['secretbridge prune', 'secretbridge prune --yes'],
      exits: [
        [0, 'there is nothing to delete, or everything was deleted'],
        [2, 'there are targets to delete; --yes deletes them, within the limits of brake'],
        INVALID_CONFIG,
        RETRYABLE,
        NEEDS_PERSON,
      ],
      see: ['release', 'docs/how-to/remove-secrets.md'],
    },
  ).option('-y, --yes', 'delete them');
  withServer(prune, 'send the request to the service at this address').action(
    (options: GlobalOptions & ServerOptions & { yes?: boolean }) =>
      run(async () => pruneCommand(context, options)),
  );
}

const NO_ORPHANS = 'No orphaned targets: every target of this instance is in the configuration.';
const NONE_AMONG_CHECKED = 'No orphaned targets among those that could be checked.';
const ALL_WAITING =
  'Nothing to delete now: the orphaned targets stay until their mapping has created its new target.';

type Options = GlobalOptions & ServerOptions & { readonly yes?: boolean };

/** The orphaned targets that this run of `prune` does not delete. */
interface SkippedTargets {
  readonly waiting: readonly AwaitingReplacement[];
  readonly unseen: readonly UncheckedTarget[];
}

export async function pruneCommand(context: Context, options: Options): Promise<number> {
  const { server, yes } = options;
  if (server !== undefined) return letService(server, context, options);
  return withApp(context, options, async (app) => {
    const { listOrphansForCommand, pruneOrphans } = await import('../../commands/prune.ts');
    if (yes) return printReport(context, options, await pruneOrphans(app));
    const orphans = await listOrphansForCommand(app);
    return printOrphans(
      context,
      options,
      orphans,
      '`secretbridge prune --yes` deletes them, within the limits of `brake`.',
    );
  });
}

async function letService(server: string, context: Context, options: Options): Promise<number> {
  const { createClient } = await import('../service/client.ts');
  const { orphansThrough, pruneThrough } = await import('../service/requests.ts');
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  if (!options.yes) {
    const result = await orphansThrough(client);
    const orphans = { targets: targetsOf(result), ...skippedOf(result) };
    return printOrphans(
      context,
      options,
      orphans,
      'With `--yes` the service deletes them, within the limits of `brake`.',
    );
  }
  const result = await pruneThrough(client);
  printSkipped(context, skippedOf(result));
  return printServiceResult(context, options, result);
}

function printOrphans(
  context: Context,
  options: GlobalOptions,
  { targets, ...skipped }: SkippedTargets & { readonly targets: readonly PlannedTarget[] },
  nextStep: string,
): ExitCode {
  printSkipped(context, skipped);
  printPlan(context, options, { targets, held: [], ...skipped }, summaryText(targets, skipped));
  if (targets.length > 0) printNotice(context, `Nothing was deleted. ${nextStep}`);
  return targets.length > 0 ? EXIT.changes : EXIT.ok;
}

function summaryText(targets: readonly PlannedTarget[], { waiting, unseen }: SkippedTargets): string {
  if (targets.length > 0) return `${count(targets.length, 'target')} to delete.`;
  if (waiting.length > 0) return ALL_WAITING;
  return unseen.length > 0 ? NONE_AMONG_CHECKED : NO_ORPHANS;
}

function printSkipped(context: Context, { waiting, unseen }: SkippedTargets): void {
  for (const target of unseen) printNotice(context, uncheckedText(target));
  for (const target of waiting) printNotice(context, waitingText(target));
}

function targetsOf({ targets }: OrphansAnswer): readonly PlannedTarget[] {
  return targets.map(({ mapping, keys, ...id }) => ({
    mapping: safeText(mapping),
    target: safeTarget(id),
    action: 'delete',
    keys: keys.map(({ name, action, before, after }) => ({
      name: safeText(name),
      action,
      ...(before === undefined ? {} : { before: safeText(before) }),
      ...(after === undefined ? {} : { after: safeText(after) }),
    })),
    alive: true,
  }));
}

function skippedOf({ waiting = [], unseen = [] }: SkippedOrphans): SkippedTargets {
  return {
    waiting: waiting.map(({ mapping, until, ...id }) => ({
      mapping: safeText(mapping),
      target: safeTarget(id),
      until: safeTarget(until),
      by: safeText(mapping),
    })),
    unseen: unseen.map(({ what, code }) => ({ what: safeText(what), error: { code: safeText(code) } })),
  };
}

function safeTarget({ namespace, secret }: TargetId): TargetId {
  return { namespace: safeText(namespace), secret: safeText(secret) };
}
