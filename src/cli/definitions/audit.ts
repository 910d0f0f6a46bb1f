import { type Command, Option } from 'commander';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../audit/entry.ts';
import { DEFAULT_EXPORT_FORMAT, EXPORT_FORMATS } from '../../audit/export/formats.ts';
import { NEW_REVIEW_STATES } from '../../audit/query/review.ts';
import type { Context } from '../context.ts';
import { example } from '../texts/help.ts';
import { addProof } from './audit-proof.ts';
import {
  choiceOption,
  command,
  errorCode,
  fingerprint,
  nonEmpty,
  positiveInteger,
  type Run,
  withServer,
} from './options.ts';

/** Adds the commands `secretbridge audit …`. */
export function addAudit(program: Command, context: Context, run: Run): void {
  const audit = program
    .command('audit')
    .description('List, review, verify and export the records of all reads, changes and refusals.')
    .helpCommand(false)
    .addHelpText('after', example(['secretbridge audit list --since 7d --outcome refused']));
  addList(audit, context, run);
  addShow(audit, context, run);
  addReview(audit, context, run);
  addProof(audit, context, run);
  addReport(audit, context, run);
  addExport(audit, context, run);
  addMigrate(audit, context, run);
}

/** Adds the option `--audit`, which selects an audit store without a configuration. */
function withAuditOption(command: Command): Command {
  return command.option(
    '--audit <path or url>',
    'audit store to read (default: the store in the configuration)',
    nonEmpty,
  );
}

function addList(audit: Command, context: Context, run: Run): void {
  const list = command(audit, 'list', 'List records, newest first. Filters combine.', [
    'secretbridge audit list --since 7d --namespace payments',
    'secretbridge audit list --value',
  ]);
  withFilters(withAuditOption(list))
    .option('--trace', 'with --fingerprint: also show what was made from the versions with this fingerprint')
    .addOption(
      new Option(
        '--value',
        'find where a value was used; the value is read from a hidden prompt or standard input',
      ).conflicts(['fingerprint', 'trace']),
    )
    .option('--limit <number>', 'records on a page', positiveInteger, 50)
    .option('--cursor <cursor>', 'continue after a page, from its `next`', (text) =>
      String(positiveInteger(text)),
    )
    .action((options) =>
      run(async () => (await import('../commands/audit.ts')).auditListCommand(context, options)),
    );
}

function withFilters(command: Command): Command {
  return command
    .option('--since <time>', 'records since this time: 7d, 2026-01-31 or 2026-01-31T08:00:00Z', nonEmpty)
    .option('--until <time>', 'records until this time', nonEmpty)
    .option('--actor <name>', 'records caused by this actor, by kind or name', nonEmpty)
    .option('--mapping <name>', 'records of this mapping', nonEmpty)
    .option('--namespace <name>', 'records of targets in this namespace', nonEmpty)
    .option('--secret <name>', 'records of targets with this name', nonEmpty)
    .option('--store <name>', 'records of this store', nonEmpty)
    .option('--key <key>', 'records of this source key', nonEmpty)
    .addOption(choiceOption('--action <action>', 'records with this action', ACTIONS))
    .addOption(choiceOption('--outcome <outcome>', 'records with this outcome', OUTCOMES))
    .option('--code <code>', 'records with this error code', errorCode)
    .option('--request <id>', 'records of this request', nonEmpty)
    .option(
      '--fingerprint <fingerprint>',
      'records with this fingerprint before or after a change',
      fingerprint,
    )
    .addOption(choiceOption('--review <state>', 'records with this review state', REVIEW_STATES));
}

function addShow(audit: Command, context: Context, run: Run): void {
  const show = command(
    audit,
    'show',
    'Show a record with its intent or outcome, its review and its position in the chain.',
    ['secretbridge audit show 42'],
  );
  withAuditOption(show.argument('<sequence>', 'number of the record', positiveInteger)).action(
    (sequence: number, options) =>
      run(async () => (await import('../commands/audit.ts')).auditShowCommand(context, sequence, options)),
  );
}

function addReview(audit: Command, context: Context, run: Run): void {
  const review = command(audit, 'review', 'Mark records as reviewed or flagged. Your name is recorded.', [
    'secretbridge audit review 42 --state reviewed',
    "secretbridge audit review 40-45 47 --state flagged --note 'not announced: ask the payments team'",
  ])
    .argument('<sequence...>', 'record numbers, or ranges such as 40-45')
    .addOption(choiceOption('--state <state>', 'new review state', NEW_REVIEW_STATES).makeOptionMandatory())
    .option('--note <text>', 'what you found; do not include values');
  withServer(
    review,
    'send the request to the service at this address (default: the service at `http.listen` if it runs, else this process)',
  ).action((sequences: readonly string[], options) =>
    run(async () =>
      (await import('../commands/audit-review.ts')).auditReviewCommand(context, sequences, options),
    ),
  );
}

function addReport(audit: Command, context: Context, run: Run): void {
  const report = command(audit, 'report', 'Summarize what happened, for a mail or a chat message.', [
    'secretbridge audit report --since 7d',
    "secretbridge audit report --since 7d | mail -s 'Secrets, last week' security@example.com",
  ]);
  withAuditOption(report)
    .option('--since <time>', 'records since this time: 7d, 2026-01-31 or 2026-01-31T08:00:00Z', '7d')
    .option('--until <time>', 'records until this time (default: now)')
    .action((options) =>
      run(async () => (await import('../commands/audit-report.ts')).auditReportCommand(context, options)),
    );
}

function addExport(audit: Command, context: Context, run: Run): void {
  const out = command(
    audit,
    'export',
    'Export records, oldest first: as a verifiable log, a table or OCSF events.',
    [
      'secretbridge audit export --format jsonl --out audit.jsonl',
      'secretbridge audit export --format csv --since 30d --namespace payments > payments.csv',
    ],
  ).addOption(
    new Option('--format <format>', '`audit verify` can read jsonl')
      .choices(EXPORT_FORMATS)
      .default(DEFAULT_EXPORT_FORMAT),
  );
  withFilters(withAuditOption(out))
    .option('--out <path>', 'file to write, readable only by its owner (default: standard output)', nonEmpty)
    .action((options) =>
      run(async () => (await import('../commands/audit-export.ts')).auditExportCommand(context, options)),
    );
}

function addMigrate(audit: Command, context: Context, run: Run): void {
  command(audit, 'migrate', 'Copy an audit log to another store and keep its hash chain.', [
    "secretbridge audit migrate --from ./state/audit.db --to 'postgres://bridge@db.internal/audit'",
  ])
    .requiredOption('--from <path or url>', 'store to copy; nothing may write to it meanwhile', nonEmpty)
    .requiredOption(
      '--to <path or url>',
      'empty store to fill; an interrupted copy continues when you run the command again',
      nonEmpty,
    )
    .action((options) =>
      run(async () => (await import('../commands/audit-migrate.ts')).auditMigrateCommand(context, options)),
    );
}
