/** `jsonl` is the proof itself, to be verified elsewhere; the others are for spreadsheets and for other systems. */
export const EXPORT_FORMATS = ['jsonl', 'csv', 'ocsf'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
