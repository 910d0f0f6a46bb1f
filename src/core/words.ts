// Words that the audit, the API, the command line and the review page share. The build of the page includes this file,
// so it must not import anything.

/** The actions of audit records. */
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

/** The states of a target, worst first. */
export const SYNC_STATES = [
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

/** What a plan says of a target. */
export const PLAN_ACTIONS = ['create', 'update', 'delete', 'unchanged', 'refuse', 'hold', 'fail'] as const;

/** The actions of a plan that change the target. */
export const CHANGING_ACTIONS: readonly (typeof PLAN_ACTIONS)[number][] = ['create', 'update', 'delete'];

/**
 * The kinds of special updates in a plan: adopt an existing Secret, recreate the Secret, or merge into a Secret of
 * another owner.
 */
export const UPDATE_KINDS = ['adopt', 'recreate', 'merge'] as const;

/** The roles of people. A role includes all roles before it in this list. */
export const ROLES = ['viewer', 'reviewer', 'operator'] as const;

export const EXPORT_FORMATS = ['jsonl', 'csv', 'ocsf'] as const;
