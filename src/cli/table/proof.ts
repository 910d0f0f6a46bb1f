import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import { collect, command, filled, type Run } from './command-line.ts';

/** Commands on whether the audit was altered. */
export function addProof(audit: Command, context: Context, run: Run): void {
  command(
    audit,
    'verify',
    'Prove that no record was altered: the chain of a store or an export, and its signed checkpoints.',
    [
      'secretbridge audit verify',
      'secretbridge audit verify --audit export.jsonl --checkpoints checkpoints.jsonl --key checkpoint.pub',
      'secretbridge audit verify --public-key > checkpoint.pub',
    ],
  )
    .option(
      '--audit <path or url>',
      'store, or export as JSON lines; without --config then also without the checkpoints and keys of a configuration',
      filled,
    )
    .option('--checkpoints <path>', 'file or log with checkpoints; may be given several times', collect)
    .option('--key <key or path>', 'public key: PEM, base64 or a file; may be given several times', collect)
    .option('--public-key', 'print the public key of the configuration, and verify nothing')
    .action((options) =>
      run(async () => (await import('../commands/audit-verify.ts')).auditVerifyCommand(context, options)),
    );
  command(
    audit,
    'accept',
    'Accept that the audit lacks records that a checkpoint proves. It is on record who did, and work goes on.',
    ['secretbridge audit accept'],
  ).action((options: GlobalOptions) =>
    run(async () => (await import('../commands/audit-accept.ts')).auditAcceptCommand(context, options)),
  );
}
