import type { DesiredTarget } from '../reconcile/targets.ts';
import { ANNOTATION, configHash } from '../sync/ownership-metadata.ts';
import type { ConfigSnapshot } from './config-snapshot.ts';
import type { SyncState, TargetStatus } from './service.ts';
import type { TargetStates } from './target-states.ts';

/** The states of a ConfigMap with mappings: those of its worst target, or `invalid` for the ConfigMap itself. */
export type ConfigMapState = SyncState | 'invalid';

export interface ConfigMapStatus {
  readonly state: ConfigMapState;
  readonly code?: string;
  /** Names and texts of ours, and never a value. */
  readonly message: string;
}

/**
 * From worst to best. The state of a ConfigMap is the first one that any of its targets has. Other than in `SYNC_STATES`,
 * `held` comes late: a health check waits for a held change, and reports the others as failures.
 */
const WORST_FIRST: readonly SyncState[] = [
  'failed',
  'refused',
  'stale',
  'contested',
  'drifted',
  'held',
  'waiting',
  'pinned',
  'synced',
];
/** A longer text would fill the lists of GitOps tools. */
const MAX_MESSAGE = 1_024;
/**
 * A copy of longer mappings would use too much of the space that the API server allows for all annotations. Then their
 * size stands for them.
 */
const MAX_OBSERVED_BYTES = 32 * 1024;

/** Returns the status of a ConfigMap whose newest mappings are in force. */
export function statusOfTargets(targets: readonly TargetStatus[]): ConfigMapStatus {
  const [worst] = targets.toSorted((one, other) => rankOf(one) - rankOf(other));
  if (worst === undefined) return { state: 'synced', message: 'the ConfigMap has no mappings' };
  const { state, code, secret, message, remedy } = worst;
  const count = targets.filter((target) => target.state === 'synced').length;
  const summary = `${count} of ${targets.length} Secrets in sync`;
  const why = code === undefined ? state : [`${code}: ${message ?? ''}`, remedy ?? ''].join('. ').trim();
  return {
    state,
    ...(code === undefined ? {} : { code }),
    message: shortened(state === 'synced' ? summary : `${summary}; ${secret}: ${why}`),
  };
}

/** Returns the status of a ConfigMap whose newest mappings are not in force. */
export function invalidStatus(code: string, message: string): ConfigMapStatus {
  return { state: 'invalid', code, message: shortened(message) };
}

/**
 * Returns what tells a health check whether a status describes the present mappings. A ConfigMap has no generation, and
 * the languages of health checks have no hashes. So it is the text itself, if it is short.
 */
export function observedText(mappings: string): string {
  const bytes = Buffer.byteLength(mappings);
  return bytes <= MAX_OBSERVED_BYTES ? mappings : `size:${bytes}`;
}

function rankOf({ state }: TargetStatus): number {
  return WORST_FIRST.indexOf(state);
}

function shortened(message: string): string {
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE - 1).toWellFormed()}…`;
}

/**
 * Whether the status of a target describes its present mapping. After a change of the mapping, the status is that of the
 * previous mapping until the next run. Before the first run of this process, the annotations of the Secret decide.
 */
export function isSettled(desired: DesiredTarget, snapshot: ConfigSnapshot, states: TargetStates): boolean {
  const { mapping, id } = desired;
  const run = states.lastRun(mapping.name, id);
  const change = snapshot.changeOf(desired);
  if (change !== undefined && change.at > (run?.freshAt ?? Number.NEGATIVE_INFINITY)) return false;
  if (run !== undefined) return true;
  const { meta, unresolvedAt } = states.inputs(id);
  return unresolvedAt === undefined && meta?.annotations[ANNOTATION.config] === configHash(mapping);
}
