import type { Command } from 'commander';
import type { SyncReport } from '../../commands/sync.ts';
import { AppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { UsageError } from '../errors.ts';
import { command, nonEmpty, positiveInteger, type Run, withServer } from '../options.ts';
import type { PinOrder } from '../service/requests.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { withApp } from '../with-app.ts';

type PinOptions = GlobalOptions & ServerOptions & { namespace?: string };

export function addRollback(program: Command, context: Context, run: Run): void {
  const rollback = command(
    program,
    'rollback',
    'Return a target to the source versions of an audit record and pin the target to these versions until `unpin`. The stores must still have these versions.',
    {
      examples: [
        'secretbridge audit list --mapping payments-db --action update',
        'secretbridge rollback payments-db --to 41',
        'secretbridge rollback registry --to 41 --namespace team-a',
      ],
      see: ['unpin', 'audit list', 'explain'],
    },
  )
    .argument('<mapping>', 'name of the mapping')
    .requiredOption(
      '--to <sequence>',
      'number of an audit record of a change of this mapping',
      positiveInteger,
    )
    .option('--namespace <name>', 'namespace of the target, if the mapping has several', nonEmpty);
  withServer(rollback, 'send the request to the service at this address').action(
    (mapping: string, options: PinOptions & { to: number }) =>
      run(async () => rollbackCommand(context, { ...options, mapping })),
  );
}

export function addUnpin(program: Command, context: Context, run: Run): void {
  const unpin = command(program, 'unpin', 'Let a pinned mapping follow its sources again.', {
    examples: ['secretbridge unpin payments-db'],
    see: ['rollback', 'explain'],
  })
    .argument('<mapping>', 'name of the mapping')
    .option(
      '--namespace <name>',
      'only the target in this namespace (default: all pinned targets)',
      nonEmpty,
    );
  withServer(unpin, 'send the request to the service at this address').action(
    (mapping: string, options: PinOptions) => run(async () => unpinCommand(context, { ...options, mapping })),
  );
}

type Options = GlobalOptions & ServerOptions & { readonly mapping: string; readonly namespace?: string };

export async function rollbackCommand(
  context: Context,
  options: Options & { readonly to: number },
): Promise<number> {
  const { server, to } = options;
  if (server !== undefined) return letService(context, server, options, { kind: 'rollback', to });
  return withApp(context, options, async (app) => {
    const { rollBackLocally } = await import('../../commands/rollback.ts');
    const report = await rollBackLocally(app, options, { signal: context.signal });
    return printOrRefuse(context, options, report);
  });
}

/**
 * Prints the report. If the result is a string, it is the message about an ambiguous target, and is thrown as a usage
 * error.
 */
function printOrRefuse(context: Context, options: Options, report: SyncReport | string): number {
  if (typeof report === 'string') throw new UsageError(report);
  return printReport(context, options, report);
}

export async function unpinCommand(context: Context, options: Options): Promise<number> {
  const { server } = options;
  if (server !== undefined) return letService(context, server, options, { kind: 'unpin' });
  const { unpinLocally } = await import('../../commands/rollback.ts');
  return withApp(context, options, async (app) =>
    printOrRefuse(context, options, await unpinLocally(app, options, { signal: context.signal })),
  );
}

async function letService(
  context: Context,
  server: string,
  options: Options,
  order: PinOrder,
): Promise<number> {
  const { createClient } = await import('../service/client.ts');
  const { pinThrough } = await import('../service/requests.ts');
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  try {
    return printServiceResult(context, options, await pinThrough(client, options, order));
  } catch (error) {
    // The service reports an ambiguous target with INVALID_REQUEST. A local rollback throws a usage error in this case,
    // so throw one here too.
    if (error instanceof AppError && error.code === 'INVALID_REQUEST')
      throw new UsageError(error.detail ?? error.message);
    throw error;
  }
}
