import type { TargetId } from '../../core/target.ts';
import type { AuditRecord, EntrySource } from '../entry.ts';
import type { AuditStore } from '../store.ts';
import type { SourceTarget } from '../summaries.ts';
import { doneWrites } from './present.ts';

/** A Secret that holds or held a version of a source. */
export interface ReachedTarget extends TargetId {
  readonly mapping?: string;
  /** The versions that it holds now. Empty if it was deleted or does not use the source any more. */
  readonly versions: readonly string[];
  /** The last write that used the source, and the write that decided about the present versions. */
  readonly sequence: number;
  readonly time: string;
}

export interface Reach {
  /** The Secrets that hold the version now. */
  readonly now: readonly ReachedTarget[];
  /** The Secrets that held it. */
  readonly held: readonly ReachedTarget[];
  /** The Secrets that hold another version now, and never held this one. */
  readonly others: readonly ReachedTarget[];
  /** Whether there are more Secrets than the answer contains. */
  readonly more: boolean;
}

const MAX_TARGETS = 500;
/** How many writes of a target are read to find the version. */
const WRITES = 12;

type ReachAudit = Pick<AuditStore, 'index' | 'summaries'>;

/** Finds which Secrets hold or held a version of a source. Without a version, returns all Secrets in `others`. */
export async function reachOf(
  audit: ReachAudit,
  source: Pick<EntrySource, 'store' | 'key'> & { readonly version?: string | undefined },
): Promise<Reach> {
  const { version, ...key } = source;
  const [all, ofVersion] = await Promise.all([
    audit.summaries.targetsOfSource(key, MAX_TARGETS + 1),
    version === undefined ? [] : audit.summaries.targetsOfSource({ ...key, version }, MAX_TARGETS + 1),
  ]);
  const targets = new Map([...all, ...ofVersion].map((target) => [idOf(target), target]));
  // The targets that used the version come first.
  const ordered = [...ofVersion, ...all].map((target) => targets.get(idOf(target)) ?? target);
  const found = await Promise.all(
    [...new Set(ordered)].slice(0, MAX_TARGETS).map((target) => usesOf(audit, target, source)),
  );
  const now: ReachedTarget[] = [];
  const held: ReachedTarget[] = [];
  const others: ReachedTarget[] = [];
  for (const { target, hadVersion } of found.flatMap((use) => use ?? [])) {
    if (version !== undefined && target.versions.includes(version)) now.push(target);
    else if (hadVersion) held.push(target);
    else if (target.versions.length > 0) others.push(target);
  }
  return { now, held, others, more: targets.size > MAX_TARGETS };
}

function idOf({ namespace, secret }: TargetId): string {
  return `${namespace}/${secret}`;
}

async function usesOf(
  { index }: ReachAudit,
  { namespace, secret, sequence: used }: SourceTarget,
  { store, key, version }: Parameters<typeof reachOf>[1],
): Promise<{ readonly target: ReachedTarget; readonly hadVersion: boolean } | undefined> {
  const versionsIn = ({ action, sources }: AuditRecord): readonly string[] =>
    action === 'delete'
      ? []
      : sources.filter((one) => one.store === store && one.key === key).map((one) => one.version);
  const done = await doneWrites(index, { namespace, secret }, WRITES);
  const [last] = done;
  if (last === undefined) return undefined;
  const { mapping, sequence, time } = last;
  const has = (write: AuditRecord): boolean => version !== undefined && versionsIn(write).includes(version);
  // The version may have been written long ago. `used` is the last record that names it.
  const hadVersion =
    done.some(has) ||
    (version !== undefined && (await doneWrites(index, { namespace, secret }, WRITES, used + 1)).some(has));
  return {
    target: {
      ...{ namespace, secret, sequence, time },
      ...(mapping === undefined ? {} : { mapping }),
      versions: [...new Set(versionsIn(last))],
    },
    hadVersion,
  };
}
