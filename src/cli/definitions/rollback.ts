import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import type { ServerOptions } from '../service/server-address.ts';
import { command, nonEmpty, positiveInteger, type Run, withServer } from './options.ts';

type PinOptions = GlobalOptions & ServerOptions & { namespace?: string };

/** Adds the commands `secretbridge rollback` and `unpin`. */
export function addPins(program: Command, context: Context, run: Run): void {
  const rollback = command(
    program,
    'rollback',
    'Return a target to the source versions of an audit record and pin it there until `unpin`. The stores must still have these versions.',
    [
      'secretbridge audit list --mapping payments-db --action update',
      'secretbridge rollback payments-db --to 41',
      'secretbridge rollback registry --to 41 --namespace team-a',
    ],
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
      run(async () =>
        (await import('../commands/rollback.ts')).rollbackCommand(context, { ...options, mapping }),
      ),
  );

  const unpin = command(program, 'unpin', 'Let a pinned mapping follow its sources again.', [
    'secretbridge unpin payments-db',
  ])
    .argument('<mapping>', 'name of the mapping')
    .option(
      '--namespace <name>',
      'only the target in this namespace (default: all pinned targets)',
      nonEmpty,
    );
  withServer(unpin, 'send the request to the service at this address').action(
    (mapping: string, options: PinOptions) =>
      run(async () =>
        (await import('../commands/rollback.ts')).unpinCommand(context, { ...options, mapping }),
      ),
  );
}
