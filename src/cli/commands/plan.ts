import type { App } from '../../app/app.ts';
import { type PlannedTarget, type PlanReport, planTargets } from '../../app/plan.ts';
import { passedOver } from '../../app/serve/run-answer.ts';
import type { Config } from '../../config/config.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCode } from '../exit.ts';
import { type Missed, unseenText, waitingText } from '../report.ts';
import { heldText, keyLines, pinText, targetData } from '../targets.ts';
import { count, type Paint, print, tell } from '../texts/output.ts';
import { withApp } from '../with-app.ts';

const CHANGES: readonly string[] = ['create', 'update', 'delete'];

export async function planCommand(
  context: Context,
  options: GlobalOptions & { mapping?: string; all?: boolean; adopt?: boolean },
): Promise<number> {
  const plan = async (app: App) => {
    const report = await planTargets(app, options.mapping, context.signal);
    for (const it of report.unseen ?? []) tell(context, unseenText(it));
    for (const it of report.waiting ?? []) tell(context, waitingText(it));
    const changing = printPlan(context, options, report, { title: 'Plan' });
    if (context.interactive && options.output === 'human') tellNext(context, report, options);
    const failing = report.targets.filter(({ action }) => action === 'fail');
    return exitCode(
      failing.flatMap(({ error }) => error?.code ?? []),
      {
        person: report.targets.some(({ action }) => action === 'refuse' || action === 'hold'),
        changes: changing > 0,
      },
    );
  };
  return withApp(context, options, plan, options.adopt ? { adapt: adopting } : {});
}

/** So that a person sees what `onConflict` would do before it stands in the configuration. */
function adopting(config: Config): Config {
  return {
    ...config,
    mappings: config.mappings.map((mapping) => ({ ...mapping, onConflict: 'adoptAndDropOwner' })),
  };
}

function tellNext(context: Context, { targets }: PlanReport, { adopt }: { adopt?: boolean }): void {
  const foreign = targets.some(({ error }) => error?.code === 'NOT_OWNED');
  if (foreign)
    tell(context, '`secretbridge plan --adopt` shows what it would be to take over what is not ours.');
  else if (!adopt && targets.some(({ action }) => CHANGES.includes(action)))
    tell(context, '`secretbridge sync` carries it out.');
}

function keptText(kept = 0): readonly string[] {
  if (kept === 0) return [];
  return [`No mapping wants ${count(kept, 'target')} any more; kept, and listed by \`secretbridge prune\`.`];
}

interface Words {
  readonly title: string;
  /** Instead of a sum of nothing. */
  readonly none?: string;
}

/** A plan of ours or, as far as it is printed, of a service. */
type Printed = Omit<PlanReport, 'unseen'> & { readonly unseen?: readonly Missed[] };

/** Prints what would change, and gives how many targets would. */
export function printPlan(
  context: Context,
  { output, all = false }: GlobalOptions & { all?: boolean },
  report: Printed,
  words: Words,
): number {
  const changes = report.targets.filter(({ action }) => CHANGES.includes(action)).length;
  print(context, output, {
    data: {
      changes,
      targets: report.targets.map((it) => ({
        ...targetData(it, 'action', it.action),
        ...(it.how === undefined ? {} : { how: it.how }),
      })),
      held: report.held,
      ...passedOver(report),
      ...(report.kept === undefined ? {} : { kept: report.kept }),
    },
    human: (paint) => planText(report, all, words, paint),
  });
  return changes;
}

function planText(report: Printed, all: boolean, words: Words, paint: Paint): string {
  // A pinned one is as it should be, and yet not what its sources say.
  const isShown = ({ action, pinned }: PlannedTarget) =>
    all || action !== 'unchanged' || pinned !== undefined;
  const shown = report.targets.filter(isShown);
  const lines = shown.flatMap((target) => [targetText(target, paint), '']);
  const summary = summaryText(report.targets, words);
  return [...lines, ...heldText(report.held, paint), summary, ...keptText(report.kept)].join('\n');
}

function targetText(
  { mapping, target, action, how, error, keys, pinned }: PlannedTarget,
  paint: Paint,
): string {
  const style = error !== undefined ? 'red' : action === 'unchanged' ? 'dim' : 'bold';
  const title = `${paint(style, (how ?? action).padEnd(9))} ${paint('bold', formatTarget(target))}  ${paint('dim', `mapping ${mapping}${pinText(pinned)}`)}`;
  const why =
    error === undefined ? [] : [`  ${error.code}: ${error.message}`, `  ${paint('dim', error.todo)}`];
  return [title, ...why, ...keyLines(keys, paint)].join('\n');
}

function summaryText(targets: readonly PlannedTarget[], { title, none }: Words): string {
  if (targets.length === 0 && none !== undefined) return none;
  const kinds = ['create', 'update', 'delete', 'unchanged', 'refuse', 'hold', 'fail'] as const;
  const parts = kinds
    .map((word) => ({ word, number: targets.filter(({ action }) => action === word).length }))
    .filter(({ number }) => number > 0)
    .map(({ word, number }) => `${number} ${word === 'unchanged' ? word : `to ${word}`}`)
    .map((part) =>
      part.replace('to refuse', 'refused').replace('to hold', 'held').replace('to fail', 'failing'),
    );
  return `${title} for ${count(targets.length, 'target')}: ${parts.join(', ') || 'nothing to do'}.`;
}
