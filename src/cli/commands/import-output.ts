import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { codeOf } from '../../core/system-errors.ts';
import type { ImportResult } from '../../import/result.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { fileError, UsageError, writeAllOrNothing } from '../errors.ts';
import { painter, print, printNotice } from '../texts/output.ts';
import { importReportText, type ReportTexts } from './import-report.ts';

/** The files of an import. */
export interface OutputOptions extends Pick<GlobalOptions, 'output'> {
  readonly out?: string;
  readonly report?: string;
}

/**
 * Checks both output files before anything else. Otherwise the second file could be rejected after a cluster was read
 * and the first file was written.
 */
export async function requireOutputs(context: Context, { out, report }: OutputOptions): Promise<void> {
  const places = [out, report].filter((name) => name !== undefined);
  for (const name of places) await requireNewFile(context, name);
  if (places.length > new Set(places.map((name) => resolve(context.cwd, name))).size)
    throw new UsageError('--out and --report must be different files');
}

/** Writes the configuration and the report. */
export async function printImport(
  context: Context,
  { out, report: reportFile, output }: OutputOptions,
  { result, texts }: { readonly result: ImportResult; readonly texts: ReportTexts },
): Promise<void> {
  const { config, ...report } = result;
  if (reportFile !== undefined) await write(context, reportFile, `${JSON.stringify(report, null, 2)}\n`);
  if (out !== undefined) await write(context, out, config);
  if (output !== 'human') print(context, output, { data: result, human: () => '' });
  else if (out === undefined) context.stdout.write(config);
  if (output === 'human')
    printNotice(
      context,
      importReportText(result, painter(context.color), { short: reportFile !== undefined, texts }),
    );
}

async function requireNewFile({ cwd }: Context, name: string): Promise<void> {
  try {
    await lstat(resolve(cwd, name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw fileError(error, `${name} cannot be written`);
  }
  throw new UsageError(`${name} cannot be written: it exists (EEXIST)`);
}

/** Creates a new file. Never overwrites an existing file. */
async function write({ cwd }: Context, name: string, text: string): Promise<void> {
  try {
    await writeAllOrNothing(resolve(cwd, name), text, 'wx');
  } catch (error) {
    throw fileError(error, `${name} cannot be written`);
  }
}
