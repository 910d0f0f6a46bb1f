// Words of the API that people can select on the page. A test compares them with the words of the service.

export const ACTIONS = [
  'read',
  'create',
  'update',
  'delete',
  'repair',
  'adopt',
  'refuse',
  'hold',
  'release',
  'restart',
  'giveUp',
  'sweep',
  'configure',
  'command',
  'export',
  'review',
  'rollback',
  'unpin',
  'request',
  'approve',
  'reject',
  'warn',
  'notify',
] as const;
export const OUTCOMES = ['ok', 'failed', 'refused', 'held'] as const;
export const REVIEW_STATES = ['unreviewed', 'reviewed', 'flagged'] as const;
/** The states, worst first. */
export const TARGET_STATES = [
  'failed',
  'refused',
  'held',
  'contested',
  'drifted',
  'stale',
  'waiting',
  'pinned',
  'synced',
] as const;
export const FORMATS = { jsonl: 'JSON lines', csv: 'CSV', ocsf: 'OCSF' } as const;
export const ROLES = ['viewer', 'reviewer', 'operator'] as const;

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
