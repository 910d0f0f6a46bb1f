import { NO_KEYS } from '../audit/entry.ts';
import type { ConfigDiff } from '../config/diff.ts';
import { toAppError } from '../core/errors.ts';
import type { Engine } from '../service/run.ts';
import type { App } from './app.ts';

interface Recording {
  readonly app: Pick<App, 'audit'>;
  readonly engine: Pick<Engine, 'auditDoubt'>;
}

/** In one line, for a record. */
export function describeDiff({ stores, mappings, access, events }: ConfigDiff): string {
  const part = (what: string, { added, removed, changed }: ConfigDiff['stores']): string =>
    `${what}: ${added.length} added, ${changed.length} changed, ${removed.length} removed`;
  return `${part('stores', stores)}; ${part('mappings', mappings)}${access ? '; access changed' : ''}${events ? '; events changed' : ''}`;
}

/** That a configuration is in force. */
export async function recordConfigured(opened: Recording, note: string): Promise<void> {
  await recordConfiguration(opened, { outcome: 'ok', note });
}

/** The change itself stands whether it could be recorded or not; that it could not, the next change will find. */
export async function recordConfiguration(
  { app: { audit }, engine }: Recording,
  what:
    | { outcome: 'ok'; note: string }
    | { outcome: 'failed'; code: string; counts: Readonly<Record<string, number>> },
): Promise<void> {
  try {
    await audit.append([
      {
        actor: { kind: 'startup' },
        requestId: crypto.randomUUID(),
        action: 'configure',
        ...what,
        sources: [],
        keys: NO_KEYS,
        durationMs: 0,
        attempt: 1,
      },
    ]);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code !== 'AUDIT_UNAVAILABLE') throw error;
    engine.auditDoubt.failed(error);
  }
}
