// Words of the API that users can select on the page. A test compares them with the words of the service.

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
];
export const OUTCOMES = ['ok', 'failed', 'refused', 'held'];
export const REVIEW_STATES = ['unreviewed', 'reviewed', 'flagged'];
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
];
export const FORMATS = /** @type {const} */ ({ jsonl: 'JSON lines', csv: 'CSV', ocsf: 'OCSF' });
export const ROLES = ['viewer', 'reviewer', 'operator'];

/** The badge color of each word. */
const TONES = new Map(
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

/** @param {string} word */
export function tone(word) {
  return TONES.get(word) ?? 'plain';
}
