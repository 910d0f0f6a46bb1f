import { listLeft, pruneLeft } from '../../app/prune.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { printReport, unseenText } from '../report.ts';
import { withApp } from '../with-app.ts';
import { printPlan } from './plan.ts';

export async function pruneCommand(
  context: Context,
  options: GlobalOptions & { yes?: boolean },
): Promise<number> {
  return withApp(context, options, async (app) => {
    if (options.yes) return printReport(context, options, await pruneLeft(app));
    const { targets, unseen } = await listLeft(app);
    for (const it of unseen) context.stderr.write(`${unseenText(it)}\n`);
    printPlan(context, options, { targets, held: [] }, 'To prune');
    if (targets.length > 0)
      context.stderr.write('Nothing was deleted. `secretbridge prune --yes` deletes them.\n');
    return targets.length > 0 ? EXIT.changes : EXIT.ok;
  });
}
