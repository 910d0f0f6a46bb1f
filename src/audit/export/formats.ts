/** `jsonl` is the proof itself, to be verified elsewhere; the others are for spreadsheets and for other systems. */
export const EXPORT_FORMATS = ['jsonl', 'csv', 'ocsf'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
/** Whoever names none wants what `audit verify` reads. */
export const DEFAULT_EXPORT_FORMAT = 'jsonl';

/** What a file of each begins with; one without a record is empty. */
export const BEGINNINGS: Readonly<Record<ExportFormat, string>> = {
  jsonl: '{"action":"',
  csv: 'sequence,time,',
  ocsf: '{"category_uid":',
};
