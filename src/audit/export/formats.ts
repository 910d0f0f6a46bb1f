/** Only `jsonl` can be verified elsewhere. `csv` is for spreadsheets and `ocsf` for other systems. */
export const EXPORT_FORMATS = ['jsonl', 'csv', 'ocsf'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
/** The default is the format that `audit verify` reads. */
export const DEFAULT_EXPORT_FORMAT = 'jsonl';

/** The first characters of a file in each format. A file without records may be empty. */
export const FORMAT_PREFIXES: Readonly<Record<ExportFormat, string>> = {
  jsonl: '{"action":"',
  csv: 'sequence,time,',
  ocsf: '{"category_uid":',
};
