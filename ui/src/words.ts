import type { EXPORT_FORMATS, ROLES } from '../../src/core/words.ts';

/** The titles of the formats of an export. */
export const FORMATS: Readonly<Record<(typeof EXPORT_FORMATS)[number], string>> = {
  jsonl: 'JSON lines',
  csv: 'CSV',
  ocsf: 'OCSF',
};

export type Role = (typeof ROLES)[number];
export type Tone = 'good' | 'warn' | 'bad' | 'plain';

/** The badge color of each word. */
const TONES = new Map<string, Tone>(
  Object.entries({
    up: 'good',
    ok: 'good',
    synced: 'good',
    reviewed: 'good',
    valid: 'good',
    intact: 'good',
    degraded: 'warn',
    stale: 'warn',
    held: 'warn',
    pending: 'warn',
    contested: 'warn',
    drifted: 'warn',
    flagged: 'warn',
    down: 'bad',
    failed: 'bad',
    refused: 'bad',
    invalid: 'bad',
    damaged: 'bad',
  }),
);

export function toneOf(word: string): Tone {
  return TONES.get(word) ?? 'plain';
}
