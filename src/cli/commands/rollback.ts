import { rollBackLocally, unpinLocally } from '../../app/rollback.ts';
import type { SyncReport } from '../../app/sync.ts';
import { AppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { createClient } from '../service/client.ts';
import { type PinOrder, pinThrough } from '../service/requests.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
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
    const report = await rollBackLocally(app, options, context.signal);
    return printOrRefuse(context, options, report);
  });
}

/** Prints the report. A string is the message for an ambiguous target, which becomes a usage error. */
function printOrRefuse(context: Context, options: Options, report: SyncReport | string): number {
  if (typeof report === 'string') throw new UsageError(report);
  return printReport(context, options, report);
}

export async function unpinCommand(context: Context, options: Options): Promise<number> {
  const { server } = options;
  if (server !== undefined) return letService(context, server, options, { kind: 'unpin' });
  return withApp(context, options, async (app) =>
    printOrRefuse(context, options, await unpinLocally(app, options, context.signal)),
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
    return printServiceResult(context, options, await pinThrough(client, options, order));
  } catch (error) {
    // The service reports an ambiguous target with this code and the same message.
    if (error instanceof AppError && error.code === 'INVALID_REQUEST')
      throw new UsageError(error.detail ?? error.message);
    throw error;
  }
}
