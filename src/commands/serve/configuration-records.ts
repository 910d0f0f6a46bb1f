import type { App } from '../../app/app.ts';
import type { Actor, Entry } from '../../audit/entry.ts';
import type { Config } from '../../config/config.ts';
import { type ConfigDiff, isEmptyDiff, type NamedChanges } from '../../config/diff.ts';
import { toAppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { storesOfMappings } from '../../service/config-snapshot.ts';
import type { Controller } from '../../service/controller.ts';
import { shortHash } from '../../sync/ownership-metadata.ts';
import { type ConfigurationFacts, configureEntry, sizeText } from '../configuration-facts.ts';

/** Maximum number of names for one kind of change. There can be ten thousand mappings, and records must stay small. */
const MAX_NAMES = 20;

/** Describes a change in one line of an audit record. The text contains the names of changed entries, but no values. */
export function describeDiff({ stores, mappings, restart, ...changed }: ConfigDiff): string {
  const part = (what: string, { added, changed, removed }: NamedChanges): string =>
    `${what}: ${countText(added, 'added')}, ${countText(changed, 'changed')}, ${countText(removed, 'removed')}`;
  const { access, approvals, windows, policies, notify, includes, events } = changed;
  const sections = [
    ...(access ? ['access'] : []),
    ...(approvals ? ['approvals'] : []),
    ...(windows ? ['windows'] : []),
    ...(policies ? ['policies'] : []),
    ...(notify ? ['notify'] : []),
    ...(includes ? ['include'] : []),
    ...(events ? ['events'] : []),
    ...restart,
  ];
  const others = sections.length === 0 ? '' : `; changed: ${sections.join(', ')}`;
  return `${part('stores', stores)}; ${part('mappings', mappings)}${others}`;
}

function countText(names: readonly string[], how: string): string {
  const shown = names.slice(0, MAX_NAMES).join(', ');
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return `${names.length} ${how}${names.length === 0 ? '' : ` (${shown}${more})`}`;
}

/** Describes the start of a service. @param since The changes since this process last opened the service. */
export function describeStart(config: Parameters<typeof sizeText>[0], since?: ConfigDiff): string {
  const now = sizeText(config);
  if (since === undefined) return now;
  return `${now}; reopened; ${isEmptyDiff(since) ? 'unchanged' : describeDiff(since)}`;
}

/**
 * Records configuration changes. A change takes effect even if it cannot be recorded. In this case, the record is
 * queued until it can be written.
 */
export interface ConfigurationRecords {
  /** Records that a configuration became active. */
  configured(note: string, facts?: ConfigurationFacts): Promise<void>;
  /** Records that the configuration, or the part in the note, was rejected because of this many problems. */
  refused(problems: number, note?: string): Promise<void>;
  /** Writes the queued records. */
  flush(): Promise<void>;
}

/**
 * Maximum number of queued records. It is enough for an outage of an hour in which each check finds changed files.
 * Further records are dropped.
 */
const MAX_WAITING = 1_000;
const SUBJECT = 'configuration';

export function createConfigurationRecords({
  app: { audit, checkpoints },
  controller,
}: {
  readonly app: Pick<App, 'audit' | 'checkpoints'>;
  readonly controller: Pick<Controller, 'auditHealth'>;
}): ConfigurationRecords {
  const waiting: Entry[] = [];
  const inTurn = createSerialExecutor();
  let kind: Actor['kind'] = 'startup';

  async function append(): Promise<void> {
    const entries = [...waiting];
    if (entries.length === 0) return;
    try {
      await audit.append(entries);
      waiting.splice(0, entries.length);
      // This is the first record of a service. A checkpoint now also covers the records after the last checkpoint of a
      // crashed process.
      void checkpoints?.write();
      controller.auditHealth.writeSucceeded(SUBJECT);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'AUDIT_UNAVAILABLE') return controller.auditHealth.writeFailed(error, SUBJECT);
      // Drop the entries. Any error other than AUDIT_UNAVAILABLE is a bug, and a retry would fail again.
      waiting.splice(0, entries.length);
      throw error;
    }
  }

  /** Runs one write at a time. Each caller receives the error of its own write. */
  function flush(): Promise<void> {
    return inTurn(append);
  }

  function record(what: Parameters<typeof configureEntry>[1]): Promise<void> {
    if (waiting.length < MAX_WAITING) waiting.push(configureEntry({ kind }, what));
    // The first record has the actor `startup`; later records have the actor `event`.
    kind = 'event';
    return flush();
  }

  return {
    configured: (note, facts) => record({ outcome: 'ok', note, ...facts }),
    refused: (problems, note) =>
      record({
        ...{ outcome: 'failed', code: 'CONFIG_INVALID', counts: { problems } },
        ...(note === undefined ? {} : { note }),
      }),
    flush,
  };
}

/**
 * Returns a hash of all inputs that determine the run of a mapping: the mapping, its stores, and the rules in `access`
 * and `bounds`. A result is reused only if its hash is the same. Returns `undefined` if the mapping does not exist.
 */
export function createMappingHash(app: Pick<App, 'config'>): (mapping: string) => string | undefined {
  let last: { readonly of: Config; readonly hashOf: (mapping: string) => string | undefined } | undefined;
  return (mapping) => {
    if (last?.of !== app.config) last = { of: app.config, hashOf: hashesOf(app.config) };
    return last.hashOf(mapping);
  };
}

/** Compute each hash on demand, because there can be thousands of mappings. */
function hashesOf({ mappings, stores, access }: Config): (mapping: string) => string | undefined {
  const byName = new Map(mappings.map((mapping) => [mapping.name, mapping]));
  const storeHashes = new Map(stores.map((store) => [store.name, shortHash(store)]));
  const rules = shortHash(access ?? null);
  const hashes = new Map<string, string>();
  return (name) => {
    const mapping = byName.get(name);
    if (mapping === undefined) return undefined;
    const cachedHash = hashes.get(name);
    if (cachedHash !== undefined) return cachedHash;
    const usedStores = storesOfMappings([mapping]).map((store) => storeHashes.get(store) ?? null);
    const hash = shortHash([mapping, usedStores, rules]).slice(0, 16);
    hashes.set(name, hash);
    return hash;
  };
}
