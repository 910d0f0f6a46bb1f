import type { EXPORT_FORMATS } from '../../core/words.ts';

/**
 * The formats of an export. Only `jsonl` exports can be verified outside the store. `csv` is for spreadsheets, and
 * `ocsf` is for other systems.
 */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
/** The default is the format that `audit verify` reads. */
export const DEFAULT_EXPORT_FORMAT = 'jsonl';

/** The first characters of an export in each format. An export without records may be empty instead. */
export const FORMAT_PREFIXES: Readonly<Record<ExportFormat, string>> = {
  jsonl: '{"action":"',
  csv: 'sequence,time,',
  ocsf: '{"category_uid":',
};
