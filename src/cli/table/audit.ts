import { type Command, Option } from 'commander';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../audit/entry.ts';
import { DEFAULT_EXPORT_FORMAT, EXPORT_FORMATS } from '../../audit/export/formats.ts';
import { REVIEWS } from '../../audit/question/review.ts';
import type { Context } from '../context.ts';
import { example } from '../texts/help.ts';
import {
  command,
  errorCode,
  filled,
  fingerprint,
  positive,
  type Run,
  withServer,
  word,
} from './command-line.ts';
import { addProof } from './proof.ts';

/** `secretbridge audit …` */
export function addAudit(program: Command, context: Context, run: Run): void {
  const audit = program
    .command('audit')
    .description('Read, review, prove and export the record of what was read, changed and refused.')
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

/** Reads any store, without a configuration. */
function withStore(command: Command): Command {
  return command.option(
    '--audit <path or url>',
    'audit store to read; else the one of the configuration',
    filled,
  );
}

function addList(audit: Command, context: Context, run: Run): void {
  const list = command(audit, 'list', 'List records, newest first. Filters combine.', [
    'secretbridge audit list --since 7d --namespace payments',
    'secretbridge audit list --value',
  ]);
  withFilters(withStore(list))
    .option('--trace', 'with --fingerprint: also what was made of the versions that had it')
    .addOption(
      new Option(
        '--value',
        'where has a value been: it is asked for without being shown, or piped in',
      ).conflicts(['fingerprint', 'trace']),
    )
    .option('--limit <number>', 'records on a page', positive, 50)
    .option('--cursor <cursor>', 'go on after a page: its `next`', (text) => String(positive(text)))
    .action((options) =>
      run(async () => (await import('../commands/audit.ts')).auditListCommand(context, options)),
    );
}

function withFilters(command: Command): Command {
  return command
    .option('--since <time>', 'from then on: 7d, 2026-01-31 or 2026-01-31T08:00:00Z', filled)
    .option('--until <time>', 'until then', filled)
    .option('--actor <name>', 'who caused it: a kind or a name', filled)
    .option('--mapping <name>', 'of this mapping', filled)
    .option('--namespace <name>', 'of targets in this namespace', filled)
    .option('--secret <name>', 'of targets of this name', filled)
    .option('--store <name>', 'of this store', filled)
    .option('--key <key>', 'of this source key', filled)
    .addOption(word('--action <action>', 'of this kind', ACTIONS))
    .addOption(word('--outcome <outcome>', 'that ended so', OUTCOMES))
    .option('--code <code>', 'with this error code', errorCode)
    .option('--request <id>', 'of one request', filled)
    .option('--fingerprint <fingerprint>', 'that left or found this fingerprint', fingerprint)
    .addOption(word('--review <state>', 'as a person said of it last', REVIEW_STATES));
}

function addShow(audit: Command, context: Context, run: Run): void {
  const show = command(
    audit,
    'show',
    'Show one record, the intent or outcome that belongs to it, its review and its place in the chain.',
    ['secretbridge audit show 42'],
  );
  withStore(show.argument('<sequence>', 'its number', positive)).action((sequence: number, options) =>
    run(async () => (await import('../commands/audit.ts')).auditShowCommand(context, sequence, options)),
  );
}

function addReview(audit: Command, context: Context, run: Run): void {
  const review = command(audit, 'review', 'Say that you have looked at records. It is on record who did.', [
    'secretbridge audit review 42 --state reviewed',
    "secretbridge audit review 40-45 47 --state flagged --note 'not announced: ask the payments team'",
  ])
    .argument('<sequence...>', 'their numbers, or ranges such as 40-45')
    .addOption(word('--state <state>', 'what they are now', REVIEWS).makeOptionMandatory())
    .option('--note <text>', 'what you found; never a value');
  withServer(
    review,
    'let the service at this address do it; else the one at `http.listen` of the configuration if it answers, else here',
  ).action((sequences: readonly string[], options) =>
    run(async () =>
      (await import('../commands/audit-review.ts')).auditReviewCommand(context, sequences, options),
    ),
  );
}

function addReport(audit: Command, context: Context, run: Run): void {
  const report = command(audit, 'report', 'Sum up what happened, to be read in a mail.', [
    'secretbridge audit report --since 7d',
    "secretbridge audit report --since 7d | mail -s 'Secrets, last week' security@example.com",
  ]);
  withStore(report)
    .option('--since <time>', 'from then on: 7d, 2026-01-31 or 2026-01-31T08:00:00Z', '7d')
    .option('--until <time>', 'until then; else until now')
    .action((options) =>
      run(async () => (await import('../commands/audit-report.ts')).auditReportCommand(context, options)),
    );
}

function addExport(audit: Command, context: Context, run: Run): void {
  const out = command(
    audit,
    'export',
    'Give out records, oldest first: as they are proved, as a table, or as OCSF events.',
    [
      'secretbridge audit export --format jsonl --out audit.jsonl',
      'secretbridge audit export --format csv --since 30d --namespace payments > payments.csv',
    ],
  ).addOption(
    new Option('--format <format>', 'jsonl is what `audit verify` reads')
      .choices(EXPORT_FORMATS)
      .default(DEFAULT_EXPORT_FORMAT),
  );
  withFilters(withStore(out))
    .option('--out <path>', 'file to write, for its owner only; else standard output', filled)
    .action((options) =>
      run(async () => (await import('../commands/audit-export.ts')).auditExportCommand(context, options)),
    );
}

function addMigrate(audit: Command, context: Context, run: Run): void {
  command(audit, 'migrate', 'Move an audit log into another store, with its chain unbroken.', [
    "secretbridge audit migrate --from ./state/audit.db --to 'postgres://bridge@db.internal/audit'",
  ])
    .requiredOption(
      '--from <path or url>',
      'store to read; nothing may write to it meanwhile, and it is not changed',
      filled,
    )
    .requiredOption(
      '--to <path or url>',
      'empty store to fill; run again, what was stopped half-way goes on',
      filled,
    )
    .action((options) =>
      run(async () => (await import('../commands/audit-migrate.ts')).auditMigrateCommand(context, options)),
    );
}
