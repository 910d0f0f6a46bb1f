import { releaseHeld } from '../../app/release.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { requireConfig } from '../require-config.ts';
import { answeringAddress, createClient } from '../service/client.ts';
import { releaseThrough } from '../service/requests.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { withApp } from '../with-app.ts';

export async function releaseCommand(
  context: Context,
  id: string,
  options: GlobalOptions & ServerOptions,
): Promise<number> {
  if (options.server !== undefined)
    return letService(namedAddress(options.server, options.allowHttp), context, id, options);
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  // Prefer a running service: it has the queue, and its audit log records the name of the person.
  const address = await answeringAddress(config, options.allowHttp, context);
  if (address !== undefined) return letService(address, context, id, options);
  const { signal } = context;
  return withApp(context, options, async (app) =>
    printReport(context, options, await releaseHeld(app, id, { signal })),
  );
}

async function letService(
  address: ServerAddress,
  context: Context,
  id: string,
  options: GlobalOptions,
): Promise<number> {
  await using client = createClient(address, context);
  return printServiceResult(context, options, await releaseThrough(client, id));
}
