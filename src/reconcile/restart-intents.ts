import { type Entry, NO_KEYS } from '../audit/entry.ts';
import type { Workload } from '../core/mapping.ts';
import { formatWorkload, isContentChange } from '../sync/restart.ts';

/**
 * An outcome belongs to the intent with the same request, Secret and attempt. Restart attempts start at 11, so they
 * never equal the attempts of the write.
 */
const FIRST_ATTEMPT = 11;

/** The restart intents after a successful write. Empty if the content that pods may have read did not change. */
export function restartIntents(written: Entry, restart: readonly Workload[]): readonly Entry[] {
  if (written.outcome !== 'ok' || !isContentChange(written)) return [];
  const { actor, requestId, mapping, namespace, secret, after } = written;
  return restart.map((workload, index) => ({
    actor,
    requestId,
    phase: 'intent',
    action: 'restart',
    ...(mapping === undefined ? {} : { mapping }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
    outcome: 'ok',
    sources: [],
    keys: NO_KEYS,
    ...(after === undefined ? {} : { after }),
    note: formatWorkload(workload),
    durationMs: 0,
    attempt: FIRST_ATTEMPT + index,
  }));
}
