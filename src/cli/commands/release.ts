import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../errors.ts';
import { command, nonEmpty, type Run, withServer } from '../options.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { requireConfig, withApp } from '../with-app.ts';

export function addRelease(program: Command, context: Context, run: Run): void {
  const release = command(program, 'release', 'Approve a held deletion. Your name is recorded.', {
    examples: ['secretbridge release 5f2c9a01d3e4'],
    see: ['status', 'plan', 'docs/how-to/troubleshooting.md'],
  }).argument('<id>', 'id from `plan`, `sync` or `status`', nonEmpty);
  withServer(
    release,
    'send the request to the service at this address (default: the service at `http.listen` if it runs, else this process)',
  ).action((id: string, options: GlobalOptions & ServerOptions) =>
    run(async () => releaseCommand(context, id, options)),
  );
}

export async function releaseCommand(
  context: Context,
  id: string,
  options: GlobalOptions & ServerOptions,
): Promise<number> {
  if (options.server !== undefined)
    return letService(namedAddress(options.server, options.allowHttp), context, id, options);
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  // Prefer a running service. The service continues the work in its queue, and its audit log records the name of the
  // person.
  const { answeringAddress } = await import('../service/client.ts');
  const address = await answeringAddress(config, options.allowHttp, context);
  if (address !== undefined) return letService(address, context, id, options);
  const { signal } = context;
  const { releaseHeld } = await import('../../commands/release.ts');
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
  const { createClient } = await import('../service/client.ts');
  const { releaseThrough } = await import('../service/requests.ts');
  await using client = createClient(address, context);
  return printServiceResult(context, options, await releaseThrough(client, id));
}
