import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isPostgres, openAuditAt } from '../../app/audit.ts';
import { type MoveResult, moveAudit } from '../../audit/move/move.ts';
import { AppError } from '../../core/errors.ts';
import { checkAuditLocation, requireStoreFile } from '../audit-reader.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { command, nonEmpty, type Run } from '../options.ts';
import { count, createProgress, print } from '../texts/output.ts';

export function addMigrate(audit: Command, context: Context, run: Run): void {
  command(audit, 'migrate', 'Copy an audit log to another store and keep its hash chain.', {
    examples: [
      "secretbridge audit migrate --from ./state/audit.db --to 'postgres://bridge@db.internal/audit'",
    ],
    see: ['audit verify', 'docs/how-to/keep-the-audit.md'],
  })
    .requiredOption('--from <path or url>', 'store to copy; nothing may write to it meanwhile', nonEmpty)
    .requiredOption(
      '--to <path or url>',
      'empty store to fill; an interrupted copy continues when you run the command again',
      nonEmpty,
    )
    .action((options) => run(async () => auditMigrateCommand(context, options)));
}

export interface MigrateOptions extends GlobalOptions {
  readonly from: string;
  readonly to: string;
}

/** Copies all records of an audit store to another store: `audit migrate --from PATH-or-URL --to PATH-or-URL` */
export async function auditMigrateCommand(context: Context, options: MigrateOptions): Promise<number> {
  const { clock, signal, env } = context;
  checkAuditLocation('--from', options.from);
  checkAuditLocation('--to', options.to);
  const place = (text: string) => (isPostgres(text) ? text : resolve(context.cwd, text));
  const [from, to] = [place(options.from), place(options.to)];
  if (from === to) throw new UsageError('--from and --to are the same store');
  if (!isPostgres(from)) await requireStoreFile('--from', from, options.from);
  const replica = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
  // Open the source first: if it fails, the target must not be created.
  await using source = await openAuditAt(from, { clock, replica, readOnly: true, env });
  await using target = await openAuditAt(to, { clock, replica, readOnly: false, env });
  using copying = createProgress(context, 'Copying');
  using proving = createProgress(context, 'Verifying');
  const moved = await withInterruption(signal, () =>
    moveAudit(source, target, {
      signal,
      onProgress: (done, total, what) => (what === 'copied' ? copying : proving).step(done, total, 'records'),
    }),
  );
  if (moved.kind === 'refused') context.stderr.write(`Copying stopped: ${moved.reason}.\n`);
  print(context, options.output, { data: toData(moved), human: () => toText(moved, target.address) });
  return moved.kind === 'moved' ? EXIT.ok : EXIT.person;
}

async function withInterruption<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!signal.aborted || cause instanceof AppError) throw cause;
    throw new AppError('INTERRUPTED', { subject: 'audit migrate', cause });
  }
}

function toData(moved: MoveResult): object {
  if (moved.kind === 'refused') return { ok: false, reason: moved.reason };
  const { records, head, resumed } = moved;
  return { ok: true, records, head, resumed };
}

function toText(moved: MoveResult, address: string): string {
  if (moved.kind === 'refused') return 'Not copied.';
  const { records, head } = moved;
  return [
    `${count(records, 'record')} copied to ${address} and verified.`,
    `The last record is ${head.sequence} with hash ${head.hash}, as in the source.`,
    'Next: set `audit.store` in the configuration and start the service. Keep the old store until the service runs.',
  ].join('\n');
}
