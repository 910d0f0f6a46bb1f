import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { App } from '../../app/app.ts';
import type { PlanReport } from '../../commands/plan.ts';
import type { PlannedTarget } from '../../commands/planned-targets.ts';
import { skippedOrphans, warningsData } from '../../commands/serve/answers.ts';
import type { Config } from '../../config/config.ts';
import { formatTarget } from '../../core/target.ts';
import { CHANGING_ACTIONS, PLAN_ACTIONS } from '../../core/words.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCode, fileError, UsageError, writeAllOrNothing } from '../errors.ts';
import { command, nonEmpty, type Run } from '../options.ts';
import { planMarkdown } from '../plan-markdown.ts';
import { type UncheckedTarget, uncheckedText, waitingText } from '../sync-report.ts';
import { heldText, isListedAsHeld, keyLines, pinText, targetData, warningLines } from '../targets.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { commandRemedy, count, type Paint, print, printErrorHint, printNotice } from '../texts/output.ts';
import { reportBrokenIncludes, withApp } from '../with-app.ts';

export function addPlan(program: Command, context: Context, run: Run): void {
  command(program, 'plan', 'Show what sync would change, key by key, without changing anything.', {
    examples: [
      'secretbridge plan --mapping payments-db',
      'secretbridge plan --out plan.json',
      'secretbridge plan --output markdown',
      'secretbridge plan --adopt',
    ],
    formats: ['markdown'],
    more: 'The command reads the stores and the cluster, and writes to neither. It asks the cluster in a dry run whether it would accept each change. Values are shown as (sensitive) with a fingerprint; equal values have equal fingerprints.',
    exits: [
      [0, 'nothing would change'],
      [2, 'there are changes to apply'],
      INVALID_CONFIG,
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: ['sync', 'explain', 'docs/explanation/how-it-works.md', 'docs/how-to/run-in-ci.md'],
  })
    .option('-m, --mapping <name>', 'only this mapping', nonEmpty)
    .option('-a, --all', 'also show targets that are in sync')
    .option('--adopt', 'show the plan with `onConflict: adoptAndDropOwner` for every mapping')
    .option('--out <file>', 'also save the plan for `sync --plan`; the file contains no values', nonEmpty)
    .action((options: PlanOptions) => run(async () => planCommand(context, options)));
}

interface PlanOptions extends GlobalOptions {
  readonly mapping?: string;
  readonly all?: boolean;
  readonly adopt?: boolean;
  readonly out?: string;
}

export async function planCommand(context: Context, options: PlanOptions): Promise<number> {
  // `sync` would refuse such a plan, because it is the plan of another configuration.
  if (options.adopt && options.out !== undefined)
    throw new UsageError('--adopt and --out cannot be given together');
  const plan = async (app: App) => {
    const { planTargets } = await import('../../commands/plan.ts');
    const report = await planTargets(app, options.mapping, context.signal);
    for (const unseen of report.unseen ?? []) printNotice(context, uncheckedText(unseen));
    for (const waiting of report.waiting ?? []) printNotice(context, waitingText(waiting));
    if (options.out !== undefined) await savePlan(context, app, report, options.out, options.mapping);
    const changing = printPlan(context, options, report);
    printErrorHint(
      context,
      options.output,
      report.targets.map(({ error }) => error?.code),
    );
    if (options.out !== undefined)
      printNotice(context, `Saved the plan. \`secretbridge sync --plan ${options.out}\` carries it out.`);
    else if (context.interactive && options.output === 'human') printNextStep(context, report, options);
    const failing = report.targets.filter(({ action }) => action === 'fail');
    const code = exitCode(
      failing.flatMap(({ error }) => error?.code ?? []),
      {
        person: report.targets.some(({ action }) => action === 'refuse' || action === 'hold'),
        changes: changing > 0,
      },
    );
    return reportBrokenIncludes(context, app.config, code);
  };
  return withApp(context, options, plan, options.adopt ? withAdoption : undefined);
}

/** Saves the plan completely or not at all. */
async function savePlan(
  { cwd }: Context,
  { config, clock }: App,
  report: PlanReport,
  out: string,
  only: string | undefined,
): Promise<void> {
  const { toSavedPlan } = await import('../../commands/saved-plan.ts');
  const plan = toSavedPlan(report, { config, now: clock.now(), only });
  try {
    await writeAllOrNothing(resolve(cwd, out), `${JSON.stringify(plan, null, 2)}\n`, 'w');
  } catch (error) {
    throw fileError(error, out);
  }
}

/**
 * Returns the configuration with adoption allowed in every mapping. A plan with this configuration shows users the
 * effect of `onConflict: adopt` before they set it.
 */
function withAdoption(config: Config): Config {
  return {
    ...config,
    mappings: config.mappings.map((mapping) => ({ ...mapping, onConflict: 'adoptAndDropOwner' })),
  };
}

function printNextStep(context: Context, { targets }: PlanReport, { adopt }: { adopt?: boolean }): void {
  const foreign = targets.some(({ error }) => error?.code === 'NOT_OWNED');
  if (foreign)
    printNotice(context, '`secretbridge plan --adopt` shows what taking over these Secrets would change.');
  else if (!adopt && targets.some(({ action }) => CHANGING_ACTIONS.includes(action)))
    printNotice(context, '`secretbridge sync` applies these changes.');
}

function keptOrphansText(kept = 0): readonly string[] {
  if (kept === 0) return [];
  return [
    `${count(kept, 'orphaned target')} kept, which no mapping uses any more. \`secretbridge prune\` lists orphaned targets.`,
  ];
}

/** A plan that this process made, or the printable part of a plan that a service made. */
type PrintablePlan = Omit<PlanReport, 'unseen'> & { readonly unseen?: readonly UncheckedTarget[] };

/** Prints the planned changes, and returns the number of targets that would change. */
export function printPlan(
  context: Context,
  { output, all = false }: GlobalOptions & { all?: boolean },
  report: PrintablePlan,
  summary = planSummary(report.targets),
): number {
  const changes = report.targets.filter(({ action }) => CHANGING_ACTIONS.includes(action)).length;
  print(context, output, {
    data: {
      changes,
      targets: report.targets.map((plannedTarget) => ({
        ...targetData(plannedTarget, 'action', plannedTarget.action),
        ...(plannedTarget.how === undefined ? {} : { how: plannedTarget.how }),
      })),
      held: report.held,
      ...skippedOrphans(report),
      ...(report.kept === undefined ? {} : { kept: report.kept }),
      warnings: warningsData(report.targets),
    },
    human: (paint) => planText(report, all, summary, paint),
    markdown: () => planMarkdown(report, { all, summary }),
  });
  return changes;
}

function planText(report: PrintablePlan, all: boolean, summary: string, paint: Paint): string {
  // Always show pinned targets. Pinned targets differ from their sources even if the plan does not change them.
  const isListed = isListedAsHeld(report.held);
  const isShown = ({ mapping, target, action, pinned }: PlannedTarget) =>
    (all || action !== 'unchanged' || pinned !== undefined) &&
    !(action === 'hold' && isListed(mapping, target));
  const shown = report.targets.filter(isShown);
  const lines = shown.flatMap((target) => [targetText(target, paint), '']);
  const warnings = warningLines(warningsData(report.targets), paint);
  return [
    ...lines,
    ...heldText(report.held, paint),
    ...warnings,
    summary,
    ...keptOrphansText(report.kept),
  ].join('\n');
}

function targetText(
  { mapping, target, action, how, error, keys, pinned }: PlannedTarget,
  paint: Paint,
): string {
  const style = error !== undefined ? 'red' : action === 'unchanged' ? 'dim' : 'bold';
  const title = `${paint(style, (how ?? action).padEnd(9))} ${paint('bold', formatTarget(target))}  ${paint('dim', `mapping ${mapping}${pinText(pinned)}`)}`;
  const why =
    error === undefined
      ? []
      : [`  ${error.code}: ${error.message}`, `  ${paint('dim', commandRemedy(error.remedy))}`];
  return [title, ...why, ...keyLines(keys, paint)].join('\n');
}

function planSummary(targets: readonly PlannedTarget[]): string {
  const parts = PLAN_ACTIONS.map((word) => ({
    word,
    number: targets.filter(({ action }) => action === word).length,
  }))
    .filter(({ number }) => number > 0)
    .map(({ word, number }) => `${number} ${word === 'unchanged' ? word : `to ${word}`}`)
    .map((part) =>
      part.replace('to refuse', 'refused').replace('to hold', 'held').replace('to fail', 'failing'),
    );
  return `Plan for ${count(targets.length, 'target')}: ${parts.join(', ') || 'nothing to do'}.`;
}
