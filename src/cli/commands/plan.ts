import { type PlannedTarget, type PlanReport, planTargets } from '../../app/plan.ts';
import { formatTarget } from '../../core/target.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCode } from '../exit.ts';
import { count, type Paint, print } from '../output.ts';
import { heldText, keyLines, pinText, targetData } from '../targets.ts';
import { withApp } from '../with-app.ts';

const CHANGES: readonly string[] = ['create', 'update', 'delete'];

export async function planCommand(
  context: Context,
  options: GlobalOptions & { mapping?: string; all?: boolean },
): Promise<number> {
  return withApp(context, options, async (app) => {
    const report = await planTargets(app, options.mapping, context.signal);
    const changing = printPlan(context, options, report, 'Plan');
    const failing = report.targets.filter(({ action }) => action === 'fail');
    return exitCode(
      failing.flatMap(({ error }) => error?.code ?? []),
      {
        person: report.targets.some(({ action }) => action === 'refuse' || action === 'hold'),
        changes: changing > 0,
      },
    );
  });
}

/** Prints what would change, and gives how many targets would. */
export function printPlan(
  context: Context,
  { output, all = false }: GlobalOptions & { all?: boolean },
  report: PlanReport,
  title: string,
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
    },
    human: (paint) => planText(report, all, title, paint),
  });
  return changes;
}

function planText(report: PlanReport, all: boolean, title: string, paint: Paint): string {
  // A pinned one is as it should be, and yet not what its sources say.
  const isShown = ({ action, pinned }: PlannedTarget) =>
    all || action !== 'unchanged' || pinned !== undefined;
  const shown = report.targets.filter(isShown);
  const lines = shown.flatMap((target) => [targetText(target, paint), '']);
  return [...lines, ...heldText(report.held, paint), summaryText(report.targets, title)].join('\n');
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

function summaryText(targets: readonly PlannedTarget[], title: string): string {
  const words = ['create', 'update', 'delete', 'unchanged', 'refuse', 'hold', 'fail'] as const;
  const parts = words
    .map((word) => ({ word, number: targets.filter(({ action }) => action === word).length }))
    .filter(({ number }) => number > 0)
    .map(({ word, number }) => `${number} ${word === 'unchanged' ? word : `to ${word}`}`)
    .map((part) =>
      part.replace('to refuse', 'refused').replace('to hold', 'held').replace('to fail', 'failing'),
    );
  return `${title} for ${count(targets.length, 'target')}: ${parts.join(', ') || 'nothing to do'}.`;
}
