import { randomUUID } from 'node:crypto';
import { type Actor, type Entry, NO_KEYS } from '../../audit/entry.ts';
import { type ConfigDiff, isEmptyDiff, type NamedChanges } from '../../config/diff.ts';
import { toAppError } from '../../core/errors.ts';
import { createInTurn } from '../../core/in-turn.ts';
import type { Controller } from '../../service/controller.ts';
import type { App } from '../app.ts';

/** Of one kind of change; there may be ten thousand mappings, and a record stays small. */
const MOST_NAMES = 20;

/** In one line, for a record: what was changed by its name, never how. */
export function describeDiff({ stores, mappings, access, events, restart }: ConfigDiff): string {
  const part = (what: string, { added, changed, removed }: NamedChanges): string =>
    `${what}: ${named(added, 'added')}, ${named(changed, 'changed')}, ${named(removed, 'removed')}`;
  const sections = [...(access ? ['access'] : []), ...(events ? ['events'] : []), ...restart];
  const others = sections.length === 0 ? '' : `; changed: ${sections.join(', ')}`;
  return `${part('stores', stores)}; ${part('mappings', mappings)}${others}`;
}

function named(names: readonly string[], how: string): string {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `${names.length} ${how}${names.length === 0 ? '' : ` (${shown}${more})`}`;
}

/** The same of a service that opens. @param since What is another than when it was open before in this process. */
export function describeStart(
  { stores, mappings }: { readonly stores: readonly unknown[]; readonly mappings: readonly unknown[] },
  since?: ConfigDiff,
): string {
  const now = `stores: ${stores.length}, mappings: ${mappings.length}`;
  if (since === undefined) return now;
  return `${now}; opened anew; ${isEmptyDiff(since) ? 'as before' : describeDiff(since)}`;
}

/** A change of the configuration stands whether it can be recorded or not, so its record waits until it can. */
export interface ConfigurationRecords {
  /** That a configuration is in force. */
  configured(note: string): Promise<void>;
  /** That one was not taken, since it has so many problems. */
  refused(problems: number): Promise<void>;
  /** Tries again what could not be recorded. */
  flush(): Promise<void>;
}

/** A file that changes at each look is recorded so often in an outage of an hour; what comes then is left out. */
const MOST = 1_000;
const SUBJECT = 'configuration';

export function createConfigurationRecords({
  app: { audit },
  controller,
}: {
  readonly app: Pick<App, 'audit'>;
  readonly controller: Pick<Controller, 'auditDoubt'>;
}): ConfigurationRecords {
  const waiting: Entry[] = [];
  const inTurn = createInTurn();
  let kind: Actor['kind'] = 'startup';

  async function append(): Promise<void> {
    const entries = [...waiting];
    if (entries.length === 0) return;
    try {
      await audit.append(entries);
      waiting.splice(0, entries.length);
      controller.auditDoubt.recorded(SUBJECT);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'AUDIT_UNAVAILABLE') return controller.auditDoubt.failed(error, SUBJECT);
      // A fault of ours would be one each time.
      waiting.splice(0, entries.length);
      throw error;
    }
  }

  /** One after the other, whatever became of the one before, which is its caller's to know. */
  function flush(): Promise<void> {
    return inTurn(append);
  }

  function record(what: Pick<Entry, 'outcome' | 'note' | 'code' | 'counts'>): Promise<void> {
    const requestId = randomUUID();
    const base = { actor: { kind }, action: 'configure', sources: [], keys: NO_KEYS } as const;
    // What comes now is a change of the one that it began with.
    kind = 'event';
    if (waiting.length < MOST) waiting.push({ ...base, ...what, requestId, durationMs: 0, attempt: 1 });
    return flush();
  }

  return {
    configured: (note) => record({ outcome: 'ok', note }),
    refused: (problems) => record({ outcome: 'failed', code: 'CONFIG_INVALID', counts: { problems } }),
    flush,
  };
}
