import { open, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import { exportRecords, type Progress } from '../../audit/export/export.ts';
import { DEFAULT_EXPORT_FORMAT, type ExportFormat, FORMAT_PREFIXES } from '../../audit/export/formats.ts';
import type { AuditQuery } from '../../audit/query/query.ts';
import { largest } from '../../core/lists.ts';
import { codeOf } from '../../core/system-errors.ts';
import { EXPORT_FORMATS } from '../../core/words.ts';
import { filterOf, withAuditOption, withFilters } from '../audit-options.ts';
import { type AuditOptions, openAuditForReading } from '../audit-reader.ts';
import { type Context, VERSION } from '../context.ts';
import { EXIT, fileError, UsageError } from '../errors.ts';
import { command, nonEmpty, type Run } from '../options.ts';
import { count, createProgress, print } from '../texts/output.ts';

export function addExport(audit: Command, context: Context, run: Run): void {
  const out = command(
    audit,
    'export',
    'Export records, oldest first: as a verifiable log, a table or OCSF events.',
    {
      examples: [
        'secretbridge audit export --format jsonl --out audit.jsonl',
        'secretbridge audit export --format csv --since 30d --namespace payments > payments.csv',
      ],
      see: ['audit verify', 'docs/how-to/review-the-audit.md'],
    },
  ).addOption(
    new Option('--format <format>', '`audit verify` can read jsonl')
      .choices(EXPORT_FORMATS)
      .default(DEFAULT_EXPORT_FORMAT),
  );
  withFilters(withAuditOption(out))
    .option('--out <path>', 'file to write, readable only by its owner (default: standard output)', nonEmpty)
    .action((options) => run(async () => auditExportCommand(context, options)));
}

export interface ExportOptions extends AuditOptions, AuditQuery {
  readonly format: ExportFormat;
  readonly out?: string;
}

/**
 * This command only reads, so read access to the store is enough. Exports through the service are recorded in the audit
 * log.
 */
export async function auditExportCommand(context: Context, options: ExportOptions): Promise<number> {
  const { format, out } = options;
  const filter = filterOf(options, context.clock.now());
  if (out !== undefined) await requireExportOrNew(resolve(context.cwd, out), out);
  await using audit = await openAuditForReading(context, options);
  if (audit === undefined) return EXIT.config;
  using progress = createProgress(context, 'exporting');
  let records = 0;
  const chunks = exportRecords(audit, {
    format,
    filter,
    version: VERSION,
    signal: context.signal,
    onProgress(at: Progress) {
      ({ records } = at);
      progress.step(at.sequence, at.head, count(records, 'record'));
    },
  });
  if (out === undefined) {
    await toStdout(chunks, context);
    return EXIT.ok;
  }
  await toFile(chunks, resolve(context.cwd, out), out);
  progress[Symbol.dispose]();
  print(context, options.output, {
    data: { format, records, file: out },
    human: () => `Wrote ${count(records, 'record')} to ${out}.`,
  });
  return EXIT.ok;
}

async function toStdout(chunks: AsyncIterable<string>, { stdout }: Context): Promise<void> {
  try {
    await pipeline(Readable.from(chunks), stdout, { end: false });
  } catch (error) {
    // It is no error if the reader of the output, such as `head`, closes early. main.ts reports all other write errors.
    if (codeOf(error) !== 'EPIPE' && !(error instanceof Error && 'syscall' in error)) throw error;
  }
}

/** Writes the file atomically, so that the file is never incomplete. Only the owner of the file can read it. */
async function toFile(chunks: AsyncIterable<string>, path: string, name: string): Promise<void> {
  const draft = `${path}.part`;
  try {
    await using file = await open(draft, 'w', 0o600);
    await file.writeFile(chunks);
    await file.sync();
  } catch (error) {
    await rm(draft, { force: true });
    throw writeError(error, name);
  }
  await rename(draft, path);
}

/**
 * Converts an error of the file system. Such an error has the field `syscall`. The field `code` does not identify it,
 * because errors of the audit store have a `code` too. Returns all other errors unchanged.
 */
function writeError(error: unknown, name: string): unknown {
  return error instanceof Error && 'syscall' in error ? fileError(error, `${name} cannot be written`) : error;
}

const EXPORT_HEADERS = Object.values(FORMAT_PREFIXES);
const MAX_HEADER_LENGTH = largest(EXPORT_HEADERS.map((known) => known.length));

/**
 * Rejects a path that exists and is not an earlier export. The user may have named another file, such as the audit log,
 * by mistake.
 */
async function requireExportOrNew(path: string, name: string): Promise<void> {
  try {
    if (!(await stat(path)).isFile())
      throw new UsageError(`${name} is not a file; without --out, the export goes to standard output`);
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEADER_LENGTH), 0, MAX_HEADER_LENGTH, 0);
    const header = buffer.toString('latin1', 0, bytesRead);
    if (header === '' || EXPORT_HEADERS.some((known) => header.startsWith(known))) return;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw writeError(error, name);
  }
  throw new UsageError(`${name} exists and is not an export: choose another file with --out`);
}
