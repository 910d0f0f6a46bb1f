import { sourceVersionList } from '../reconcile/in-sync.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { refsOf, searchesOf } from '../sync/desired.ts';
import { isNewVersion } from '../sync/ownership-metadata.ts';
import type { Due, DueInput } from './due-input.ts';
import type { KnownFinding, SourceCheck } from './sweep/source-table.ts';

/** After a list shows a new version, a read may return the old value for this long. */
const READ_LAG_MS = 60_000;

/** A target is due if one of its sources has another version than the Secret, or is absent or failing. */
export function sourceDue(input: DueInput): Due | undefined {
  const { mapping } = input.desired;
  if (mapping.target.mode !== 'own') return undefined;
  let since = Number.NEGATIVE_INFINITY;
  let index = -1;
  for (const id of refsOf(mapping).keys()) {
    index += 1;
    const check = input.sources.get(id);
    // Ignore a check that is older than the last run, because this run has read the source itself.
    if (check !== undefined && check.checkedAt.steady > input.freshAt && isDue(input, index, check))
      since = Math.max(since, isNotCreated(input) && !check.isChanged ? 0 : check.checkedAt.steady);
  }
  return since === Number.NEGATIVE_INFINITY ? undefined : { reason: 'sweep', since };
}

/**
 * Whether the target needs a run because of this check of one of its sources.
 *
 * @param index The position of the source in `refsOf`.
 */
function isDue(input: DueInput, index: number, check: SourceCheck): boolean {
  const { desired, run, inputs } = input;
  const { finding, isChanged } = check;
  const isWaiting = (run?.retryAt ?? 0) > check.checkedAt.wall;
  // A failing target waits for its retry unless a source changed. An absence needs a run now, because each read that
  // finds the source absent counts toward the proof of its absence. After a restart, an operator may have fixed the
  // cause of an error. So run once when all sources have been found.
  if (isWaiting && !isChanged && !isAbsence(finding, desired))
    return (check.isFirst && run?.person === true && isAllFound(input)) || isReadableAgain(input);
  // A source that is readable again may end the failure, even with the same version.
  if (isChanged && run?.error !== undefined) return true;
  if (inputs.meta === undefined) return !isWaiting;
  // Only a run reads when the certificate expires. After a start, the sweeps spread these runs over time.
  if (run === undefined && desired.mapping.target.type === 'kubernetes.io/tls') return true;
  // A pinned source keeps its version, but a change may concern a source that is not pinned. The annotation does not
  // show which sources are pinned, so run once for each finding.
  if (run?.pinned !== undefined) return !isSettled(input, check);
  const written = sourceVersionList(inputs.meta, desired.mapping)[index];
  if (finding.kind === 'absent') return written !== 'missing';
  if (finding.kind === 'failed') return true;
  if (written === undefined || written === 'missing') return !isSettled(input, check);
  // The same version may have another value: if a Vault key is deleted completely and created again, its versions
  // restart at 1.
  if (written === finding.version) return check.isVersionReused;
  // Some versions are fingerprints. Two fingerprints under different keys cannot be compared, so run unless a run has
  // succeeded since this finding. The next write renews the annotation.
  return isNewVersion(written, finding.version) || !isSettled(input, check);
}

/**
 * Whether the target is not created yet. Its job usually waits in the queue. If each sweep added another job, each of
 * these jobs would open a new context and repeat the reads.
 */
function isNotCreated({ run, inputs }: DueInput): boolean {
  return run === undefined && inputs.meta === undefined;
}

/**
 * Whether the target had a successful run since this finding, which cannot be compared with the target's annotation.
 */
function isSettled({ run, freshAt }: DueInput, { finding, since }: SourceCheck): boolean {
  const lagMs = finding.kind === 'version' && finding.by === 'list' ? READ_LAG_MS : 0;
  return run !== undefined && run.error === undefined && freshAt >= since.steady + lagMs;
}

/** Whether sweeps have checked each source of the target, and all checks meet the condition. */
function everyCheck({ desired, sources }: DueInput, isMet: (check: SourceCheck) => boolean): boolean {
  return [...refsOf(desired.mapping).keys()].every((id) => {
    const check = sources.get(id);
    return check !== undefined && isMet(check);
  });
}

/** Whether each source of the target was found or is known to be absent. */
function isAllFound(input: DueInput): boolean {
  return everyCheck(input, ({ finding }) => finding.kind !== 'failed');
}

/**
 * Whether sweeps have read all sources after the last run was denied access to one. A list does not show whether a value
 * can be read. Sweeps do not read what a search finds, and not the version that a pin names.
 */
function isReadableAgain(input: DueInput): boolean {
  const { desired, run, freshAt } = input;
  if (run?.error?.code !== 'ACCESS_DENIED' || run.pinned !== undefined) return false;
  if (searchesOf(desired.mapping).length > 0) return false;
  return everyCheck(
    input,
    ({ finding, checkedAt }) =>
      finding.kind === 'version' && finding.by === 'read' && checkedAt.steady > freshAt,
  );
}

/** Whether the finding counts toward the proof that a source is gone. */
function isAbsence(finding: KnownFinding, { mapping }: DesiredTarget): boolean {
  if (finding.kind === 'failed') return finding.code === 'SOURCE_DELETED' && mapping.softDeletedIsMissing;
  return finding.kind === 'absent';
}
