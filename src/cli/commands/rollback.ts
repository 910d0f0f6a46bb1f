import { rollBackHere, unpinHere } from '../../app/rollback.ts';
import type { SyncReport } from '../../app/sync.ts';
import { AppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { printReport, printResult } from '../report.ts';
import { createClient } from '../service/client.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { type PinOrder, pinThrough } from '../service/through-service.ts';
import { UsageError } from '../usage-error.ts';
import { withApp } from '../with-app.ts';

type Options = GlobalOptions & ServerOptions & { readonly mapping: string; readonly namespace?: string };

export async function rollbackCommand(
  context: Context,
  options: Options & { readonly to: number },
): Promise<number> {
  const { server, to } = options;
  if (server !== undefined) return letService(context, server, options, { kind: 'rollback', to });
  return withApp(context, options, async (app) => {
    const report = await rollBackHere(app, options, context.signal);
    return printed(context, options, report);
  });
}

/** Where it is not clear which target is meant, what to ask for instead. */
function printed(context: Context, options: Options, report: SyncReport | string): number {
  if (typeof report === 'string') throw new UsageError(report);
  return printReport(context, options, report);
}

export async function unpinCommand(context: Context, options: Options): Promise<number> {
  const { server } = options;
  if (server !== undefined) return letService(context, server, options, { kind: 'unpin' });
  return withApp(context, options, async (app) =>
    printed(context, options, await unpinHere(app, options, context.signal)),
  );
}

async function letService(
  context: Context,
  server: string,
  options: Options,
  order: PinOrder,
): Promise<number> {
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  try {
    return printResult(context, options, await pinThrough(client, options, order));
  } catch (error) {
    // Which of its targets is meant, it asks in the same words.
    if (error instanceof AppError && error.code === 'INVALID_REQUEST')
      throw new UsageError(error.detail ?? error.message);
    throw error;
  }
}
