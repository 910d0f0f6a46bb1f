import { releaseHeld } from '../../app/release.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { printReport } from '../report.ts';
import { withApp } from '../with-app.ts';

export async function releaseCommand(context: Context, id: string, options: GlobalOptions): Promise<number> {
  return withApp(context, options, async (app) => printReport(context, options, await releaseHeld(app, id)));
}
