import type { Command } from 'commander';
import { type AuditQuery, isReversedRange, parseInstant, toFilter } from '../audit/query/query.ts';
import type { RecordFilter } from '../audit/store.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../core/words.ts';
import { UsageError } from './errors.ts';
import { choiceOption, errorCode, fingerprint, nonEmpty } from './options.ts';

/** Adds the option `--audit`, which selects an audit store without a configuration. */
export function withAuditOption(command: Command): Command {
  return command.option(
    '--audit <path or url>',
    'audit store to read (default: the store in the configuration)',
    nonEmpty,
  );
}

export function withFilters(command: Command): Command {
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

/** Parses a point in time with `parseInstant`. @throws UsageError */
export function parseTimeOption(text: string, now: number): string {
  const time = parseInstant(text, now);
  if (time === undefined)
    throw new UsageError(`${JSON.stringify(text)} is not a time: use 7d, 2026-01-31 or 2026-01-31T08:00:00Z`);
  return time;
}

/** Converts the filter options to a record filter. */
export function filterOf(options: AuditQuery, now: number): RecordFilter {
  const filter = toFilter(options, (text) => parseTimeOption(text, now));
  requireTimeOrder(filter);
  return filter;
}

export function requireTimeOrder(times: Pick<RecordFilter, 'since' | 'until'>): void {
  if (isReversedRange(times)) throw new UsageError('--since is later than --until');
}
