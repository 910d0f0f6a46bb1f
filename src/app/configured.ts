import { randomUUID } from 'node:crypto';
import { type Actor, type Entry, NO_KEYS } from '../audit/entry.ts';
import type { ConfigDiff } from '../config/diff.ts';
import { toAppError } from '../core/errors.ts';
import { createInTurn } from '../core/in-turn.ts';
import type { Controller } from '../service/controller.ts';
import type { App } from './app.ts';

/** In one line, for a record. */
export function describeDiff({ stores, mappings, access, events }: ConfigDiff): string {
  const part = (what: string, { added, removed, changed }: ConfigDiff['stores']): string =>
    `${what}: ${added.length} added, ${changed.length} changed, ${removed.length} removed`;
  return `${part('stores', stores)}; ${part('mappings', mappings)}${access ? '; access changed' : ''}${events ? '; events changed' : ''}`;
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
