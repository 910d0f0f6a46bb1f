import type { EntrySource } from '../audit/entry.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { AppError, isClusterOutage } from '../core/errors.ts';
import type { LiveSecret } from '../core/secret.ts';
import { mergesIn, writeRecordsIn } from '../sync/merge-record.ts';
import { ANNOTATION, parseSources } from '../sync/ownership-metadata.ts';
import type { Change } from './change.ts';
import type { Recorder } from './recorder.ts';

/** The result of a write: either the error, or the new resource version. */
export interface WriteResult {
  readonly error?: AppError;
  readonly resourceVersion?: string;
  /** Whether workloads must be restarted because of the write. */
  readonly restarts?: boolean;
}

/**
 * The note of an outcome that was determined by reading the cluster after the write, because the write received no
 * answer.
 */
export const SEEN_IN_CLUSTER = 'read from the cluster';

/**
 * Records the outcome of a write that ended with an error. If there was no answer, the write may have succeeded, so the
 * cluster is read.
 */
export async function resolveFailedWrite(
  error: AppError,
  change: Change,
  deps: {
    readonly recorder: Pick<Recorder, 'outcome' | 'addUnresolved'>;
    readonly cluster: Pick<Cluster, 'read'>;
  },
): Promise<WriteResult> {
  if (error.code !== 'CLUSTER_UNAVAILABLE' && error.code !== 'INTERNAL') {
    await deps.recorder.outcome(change, { error });
    return { error };
  }
  const verification = await verifyWrite(change, deps.cluster);
  // The result is still unknown. The recovery of unresolved intents checks it later.
  if (verification.kind === 'unknown') {
    deps.recorder.addUnresolved(change);
    return { error };
  }
  if (verification.kind === 'absent') {
    await deps.recorder.outcome(change, { error });
    return { error };
  }
  const written =
    verification.resourceVersion === undefined ? {} : { resourceVersion: verification.resourceVersion };
  const recorded = await deps.recorder.outcome(change, { ...written, note: SEEN_IN_CLUSTER });
  return { ...written, ...recorded };
}

export interface Applied {
  readonly kind: 'applied';
  /** Absent after a deletion. */
  readonly resourceVersion?: string;
}

interface Unknown {
  readonly kind: 'unknown';
  /** Whether the cluster is unavailable. */
  readonly isAway?: boolean;
}

export type WriteVerification = Applied | { readonly kind: 'absent' } | Unknown;

/**
 * Whether a change is present in the cluster. Compares its fingerprint and its sources with the annotations of the
 * target.
 */
export async function verifyWrite(
  {
    action,
    mapping,
    target,
    replaces,
    after,
    sources,
    uid,
  }: Pick<Change, 'action' | 'mapping' | 'target' | 'replaces' | 'after' | 'sources' | 'uid'>,
  cluster: Pick<Cluster, 'read'>,
): Promise<WriteVerification> {
  let live: LiveSecret | undefined;
  try {
    live = await cluster.read(target);
  } catch (thrown) {
    if (thrown instanceof AppError) return { kind: 'unknown', isAway: isClusterOutage(thrown) };
    throw thrown;
  }
  // If the Secret has a deletion timestamp, only finalizers keep it. If it has another UID, somebody has already
  // created a new Secret with this name.
  if (action === 'delete') {
    const isGone = live === undefined || live.deleting || (uid !== undefined && live.uid !== uid);
    return { kind: isGone ? 'applied' : 'absent' };
  }
  if (live === undefined || live.resourceVersion === replaces) return { kind: 'absent' };
  // Without `after`, the change removed all our keys and so ended a merge.
  if (after === undefined) {
    const hasMergeAnnotation = mergesIn(live).some((merge) => merge.mapping === mapping);
    return hasMergeAnnotation
      ? { kind: 'absent' }
      : { kind: 'applied', resourceVersion: live.resourceVersion };
  }
  return containsWrite(live, { after, sources })
    ? { kind: 'applied', resourceVersion: live.resourceVersion }
    : { kind: 'absent' };
}

/** Whether the annotations of a Secret record a change with this fingerprint and these sources. */
export function containsWrite(
  live: LiveSecret,
  { after, sources }: Pick<Change, 'after' | 'sources'>,
): boolean {
  return writeRecordsIn(live).some((annotations) => {
    const written = parseSources(annotations[ANNOTATION.sources]);
    const texts = written && new Set([...written.values()].map(sourceText));
    return (
      annotations[ANNOTATION.fingerprint] === after &&
      sources.every((entrySource) => texts?.has(sourceText(entrySource)) ?? true)
    );
  });
}

export function sourceText({ store, key, property, version }: EntrySource): string {
  return JSON.stringify([store, key, property, version]);
}
