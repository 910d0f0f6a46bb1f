import { type AuditRecord, type EntrySource, isPerson } from '../entry.ts';
import { isWrite } from '../record-index.ts';
import type { Cause } from './change-types.ts';

// Records say who acted. Why a change was made follows from the records before it.

/** Returns why a change was made. `previous` is the previous write of the target. */
export function causeOf(
  record: AuditRecord,
  previous: AuditRecord | undefined,
  configuration: AuditRecord | undefined,
): Cause {
  const { actor, action, note } = record;
  if (isPerson(actor)) return { kind: 'person' };
  if (actor.kind === 'drift' || action === 'repair') return { kind: 'drift' };
  if (actor.kind === 'startup' && note?.startsWith('found after a crash')) return { kind: 'recovery' };
  if (isWrite(record) && hasSameVersions(record, previous)) {
    const details = configurationFor(record, previous, configuration);
    if (details !== undefined) return { kind: 'configuration', ...details };
    // A change of the configuration is an event without the name of an event source.
    if (actor.kind === 'event' && actor.name === undefined) return { kind: 'configuration' };
  }
  if (actor.kind === 'startup') return { kind: 'unknown' };
  return { kind: actor.kind === 'event' ? 'event' : 'schedule' };
}

function hasSameVersions({ sources }: AuditRecord, previous: AuditRecord | undefined): boolean {
  return sources.every((source) => {
    const earlier = versionBefore(source, previous);
    return earlier === undefined || earlier === source.version;
  });
}

/** Returns the version of the same source in the previous write. */
export function versionBefore(source: EntrySource, previous: AuditRecord | undefined): string | undefined {
  const isSame = ({ store, key, property }: EntrySource): boolean =>
    store === source.store && key === source.key && property === source.property;
  return previous?.sources.find(isSame)?.version;
}

/** A configuration can be the cause if it came into force after the previous write, and concerns the target. */
function configurationFor(
  record: AuditRecord,
  previous: AuditRecord | undefined,
  configuration: AuditRecord | undefined,
): Pick<Cause, 'sequence' | 'revision' | 'changes'> | undefined {
  if (configuration === undefined || configuration.sequence < (previous?.sequence ?? 0)) return undefined;
  const { sequence, revision, changes } = configuration;
  const own = changes?.filter(({ path }) => isAbout(path, record));
  // A service that starts with an unchanged configuration records no changes. Only a new target can result from it.
  if (own === undefined ? previous !== undefined : own.length === 0) return undefined;
  return {
    sequence,
    ...(revision === undefined ? {} : { revision }),
    ...(own === undefined ? {} : { changes: own }),
  };
}

/** Whether a field of the configuration belongs to the mapping or to a store of a record. */
function isAbout(path: string, { mapping, sources }: AuditRecord): boolean {
  const subjects = [`mappings.${mapping}`, ...sources.map(({ store }) => `stores.${store}`)];
  return subjects.some((subject) => path === subject || path.startsWith(`${subject}.`));
}
