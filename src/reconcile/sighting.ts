import type { EntrySource } from '../audit/entry.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { isAway } from '../core/away.ts';
import { AppError } from '../core/errors.ts';
import type { LiveSecret } from '../core/secret.ts';
import { ANNOTATION, parseSources } from '../sync/marks.ts';
import { mergesIn, writtenInto } from '../sync/merge.ts';
import type { Change } from './change.ts';
import type { Recorder } from './recorder.ts';

/** What came of a write: why it failed, or the version that it left. */
export interface Written {
  readonly error?: AppError;
  readonly resourceVersion?: string;
  /** Workloads wait to be restarted because of it. */
  readonly restarts?: boolean;
}

/** The note of an outcome that nobody answered, and that was found by a look. */
export const SEEN_IN_CLUSTER = 'seen in the cluster';

/** A write without an answer may still have happened: only a look at the cluster tells. */
export async function afterFailedWrite(
  error: AppError,
  change: Change,
  deps: {
    readonly recorder: Pick<Recorder, 'outcome' | 'leaveOpen'>;
    readonly cluster: Pick<Cluster, 'read'>;
  },
): Promise<Written> {
  if (error.code !== 'CLUSTER_UNAVAILABLE' && error.code !== 'INTERNAL') {
    await deps.recorder.outcome(change, { error });
    return { error };
  }
  const found = await lookFor(change, deps.cluster);
  // Unknown still: whoever looks for what was left open looks again.
  if (found.kind === 'unknown') {
    deps.recorder.leaveOpen(change);
    return { error };
  }
  if (found.kind === 'absent') {
    await deps.recorder.outcome(change, { error });
    return { error };
  }
  const written = found.resourceVersion === undefined ? {} : { resourceVersion: found.resourceVersion };
  const recorded = await deps.recorder.outcome(change, { ...written, note: SEEN_IN_CLUSTER });
  return { ...written, ...recorded };
}

export interface Applied {
  readonly kind: 'applied';
  /** None: it was deleted. */
  readonly resourceVersion?: string;
}

interface Unknown {
  readonly kind: 'unknown';
  /** The cluster cannot be asked about anything now. */
  readonly isAway?: boolean;
}

export type Sighting = Applied | { readonly kind: 'absent' } | Unknown;

/** Whether the cluster holds what a change would have written, by the fingerprint and the sources of the target. */
export async function lookFor(
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
): Promise<Sighting> {
  let live: LiveSecret | undefined;
  try {
    live = await cluster.read(target);
  } catch (thrown) {
    if (thrown instanceof AppError) return { kind: 'unknown', isAway: isAway(thrown) };
    throw thrown;
  }
  // Finalizers hold it, and whoever set them lets it go. Or somebody has made another one in its place already.
  if (action === 'delete') {
    const isGone = live === undefined || live.deleting || (uid !== undefined && live.uid !== uid);
    return { kind: isGone ? 'applied' : 'absent' };
  }
  if (live === undefined || live.resourceVersion === replaces) return { kind: 'absent' };
  // Only the end of a merge leaves nothing of ours.
  if (after === undefined) {
    const isLeft = mergesIn(live).some((merge) => merge.mapping === mapping);
    return isLeft ? { kind: 'absent' } : { kind: 'applied', resourceVersion: live.resourceVersion };
  }
  return holds(live, { after, sources })
    ? { kind: 'applied', resourceVersion: live.resourceVersion }
    : { kind: 'absent' };
}

/** Whether a Secret says that a change with this fingerprint and these sources was written into it. */
export function holds(live: LiveSecret, { after, sources }: Pick<Change, 'after' | 'sources'>): boolean {
  return writtenInto(live).some((annotations) => {
    const written = parseSources(annotations[ANNOTATION.sources]);
    const texts = written && new Set([...written.values()].map(sourceText));
    return (
      annotations[ANNOTATION.fingerprint] === after &&
      sources.every((it) => texts?.has(sourceText(it)) ?? true)
    );
  });
}

export function sourceText({ store, key, property, version }: EntrySource): string {
  return JSON.stringify([store, key, property, version]);
}
