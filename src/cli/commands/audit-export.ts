import { open, rename, rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exportRecords, type Progress } from '../../audit/export/export.ts';
import { BEGINNINGS, type ExportFormat } from '../../audit/export/formats.ts';
import type { Question } from '../../audit/question/question.ts';
import { codeOf } from '../../core/system-errors.ts';
import { filterOf } from '../audit-question.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit.ts';
import { fileError } from '../file-error.ts';
import { createProgress } from '../progress.ts';
import { type AuditOptions, openAuditForReading } from '../read-audit.ts';
import { count, print } from '../texts/output.ts';
import { UsageError } from '../usage-error.ts';
import { VERSION } from '../version.ts';

export interface ExportOptions extends AuditOptions, Question {
  readonly format: ExportFormat;
  readonly out?: string;
}

/** Reads only, so whoever may read the store may do this; what goes out through the service is on record. */
export async function auditExportCommand(context: Context, options: ExportOptions): Promise<number> {
  const { format, out } = options;
  const filter = filterOf(options, context.clock.now());
  if (out !== undefined) await refuseOthers(resolve(context.cwd, out), out);
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
    // A reader that leaves early, such as `head`, has what it wanted; of all else that befalls the output, the program tells.
    if (codeOf(error) !== 'EPIPE' && !(error instanceof Error && 'syscall' in error)) throw error;
  }
}

/** Whole or not at all: what stands there under its name has its last line. For its owner only. */
async function toFile(chunks: AsyncIterable<string>, path: string, name: string): Promise<void> {
  const draft = `${path}.part`;
  try {
    await using file = await open(draft, 'w', 0o600);
    await file.writeFile(chunks);
    await file.sync();
  } catch (error) {
    await rm(draft, { force: true });
    throw unwritable(error, name);
  }
  await rename(draft, path);
}

/** Only the file's: the audit has errors with codes, too. */
function unwritable(error: unknown, name: string): unknown {
  return error instanceof Error && 'syscall' in error ? fileError(error, `${name} cannot be written`) : error;
}

const KNOWN = Object.values(BEGINNINGS);
const LONGEST = Math.max(...KNOWN.map((it) => it.length));

/** An earlier export is replaced, and nothing else: a name given by mistake may be that of the audit itself. */
async function refuseOthers(path: string, name: string): Promise<void> {
  try {
    if (!(await stat(path)).isFile())
      throw new UsageError(`${name} is no file: without --out it goes to standard output`);
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST), 0, LONGEST, 0);
    const found = buffer.toString('latin1', 0, bytesRead);
    if (found === '' || KNOWN.some((it) => found.startsWith(it))) return;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw unwritable(error, name);
  }
  throw new UsageError(`${name} is there already, and is no export: name another file with --out`);
}
