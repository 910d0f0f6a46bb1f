import { listLeft, pruneLeft } from '../../app/prune.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { tell } from '../output.ts';
import { printReport, unseenText } from '../report.ts';
import { withApp } from '../with-app.ts';
import { printPlan } from './plan.ts';

const NONE = 'Nothing to prune: every target of this instance is in the configuration.';

export async function pruneCommand(
  context: Context,
  options: GlobalOptions & { yes?: boolean },
): Promise<number> {
  return withApp(context, options, async (app) => {
    if (options.yes) return printReport(context, options, await pruneLeft(app));
    const { targets, unseen } = await listLeft(app);
    for (const it of unseen) tell(context, unseenText(it));
    printPlan(context, options, { targets, held: [] }, { title: 'To prune', none: NONE });
    if (targets.length > 0) tell(context, 'Nothing was deleted. `secretbridge prune --yes` deletes them.');
    return targets.length > 0 ? EXIT.changes : EXIT.ok;
  });
}
