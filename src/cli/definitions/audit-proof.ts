import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import { collect, command, nonEmpty, type Run } from './options.ts';

/** Adds the commands that verify the audit log. */
export function addProof(audit: Command, context: Context, run: Run): void {
  command(
    audit,
    'verify',
    'Verify that no record was altered, by the hash chain of a store or export and its signed checkpoints.',
    [
      'secretbridge audit verify',
      'secretbridge audit verify --audit export.jsonl --checkpoints checkpoints.jsonl --key checkpoint.pub',
      'secretbridge audit verify --public-key > checkpoint.pub',
    ],
  )
    .option(
      '--audit <path or url>',
      'audit store, or export as JSON lines; without --config, checkpoints and keys of the configuration are not used',
      nonEmpty,
    )
    .option('--checkpoints <path>', 'file or log with checkpoints; can be repeated', collect)
    .option('--key <key or path>', 'public key: PEM, base64 or a file; can be repeated', collect)
    .option('--public-key', 'print the public key of the configuration and exit')
    .action((options) =>
      run(async () => (await import('../commands/audit-verify.ts')).auditVerifyCommand(context, options)),
    );
  command(
    audit,
    'accept',
    'Accept that records are missing from the audit log, so that work continues. Your name is recorded.',
    ['secretbridge audit accept'],
  ).action((options: GlobalOptions) =>
    run(async () => (await import('../commands/audit-accept.ts')).auditAcceptCommand(context, options)),
  );
}
