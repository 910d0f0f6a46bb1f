import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import type { ServerOptions } from '../service/server-address.ts';
import { command, filled, positive, type Run, withServer } from './command-line.ts';

type PinOptions = GlobalOptions & ServerOptions & { namespace?: string };

/** `secretbridge rollback` and `unpin` */
export function addPins(program: Command, context: Context, run: Run): void {
  const rollback = command(
    program,
    'rollback',
    'Go back to the versions that a record names, and stay there until `unpin`; the stores must still have them.',
    [
      'secretbridge audit list --mapping payments-db --action update',
      'secretbridge rollback payments-db --to 41',
      'secretbridge rollback registry --to 41 --namespace team-a',
    ],
  )
    .argument('<mapping>', 'its name')
    .requiredOption('--to <sequence>', 'a record of a change of this mapping', positive)
    .option('--namespace <name>', 'of the target, where the mapping has several', filled);
  withServer(rollback, 'let the service at this address do it').action(
    (mapping: string, options: PinOptions & { to: number }) =>
      run(async () =>
        (await import('../commands/rollback.ts')).rollbackCommand(context, { ...options, mapping }),
      ),
  );

  const unpin = command(program, 'unpin', 'Let a mapping that was rolled back follow its sources again.', [
    'secretbridge unpin payments-db',
  ])
    .argument('<mapping>', 'its name')
    .option('--namespace <name>', 'only the target there; else all that are pinned', filled);
  withServer(unpin, 'let the service at this address do it').action((mapping: string, options: PinOptions) =>
    run(async () => (await import('../commands/rollback.ts')).unpinCommand(context, { ...options, mapping })),
  );
}
