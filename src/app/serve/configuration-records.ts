import { randomUUID } from 'node:crypto';
import { type Actor, type Entry, NO_KEYS } from '../../audit/entry.ts';
import { type ConfigDiff, isEmptyDiff, type NamedChanges } from '../../config/diff.ts';
import { toAppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import type { Controller } from '../../service/controller.ts';
import type { App } from '../app.ts';

/** Of one kind of change; there may be ten thousand mappings, and a record stays small. */
const MAX_NAMES = 20;

/** In one line, for a record: what was changed by its name, never how. */
export function describeDiff({ stores, mappings, access, events, restart }: ConfigDiff): string {
  const part = (what: string, { added, changed, removed }: NamedChanges): string =>
    `${what}: ${countText(added, 'added')}, ${countText(changed, 'changed')}, ${countText(removed, 'removed')}`;
  const sections = [...(access ? ['access'] : []), ...(events ? ['events'] : []), ...restart];
  const others = sections.length === 0 ? '' : `; changed: ${sections.join(', ')}`;
  return `${part('stores', stores)}; ${part('mappings', mappings)}${others}`;
}

function countText(names: readonly string[], how: string): string {
  const shown = names.slice(0, MAX_NAMES).join(', ');
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
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
const MAX_WAITING = 1_000;
const SUBJECT = 'configuration';

export function createConfigurationRecords({
  app: { audit },
  controller,
}: {
  readonly app: Pick<App, 'audit'>;
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
      controller.auditHealth.writeSucceeded(SUBJECT);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'AUDIT_UNAVAILABLE') return controller.auditHealth.writeFailed(error, SUBJECT);
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
    if (waiting.length < MAX_WAITING)
      waiting.push({ ...base, ...what, requestId, durationMs: 0, attempt: 1 });
    return flush();
  }

  return {
    configured: (note) => record({ outcome: 'ok', note }),
    refused: (problems) => record({ outcome: 'failed', code: 'CONFIG_INVALID', counts: { problems } }),
    flush,
  };
}
