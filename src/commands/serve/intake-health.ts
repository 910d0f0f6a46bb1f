import type { Clock } from '../../core/clock.ts';
import { type AppError, isTransient } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import type { Origin } from '../../events/hint.ts';
import type { IntakeStatus } from '../../service/service.ts';

/** Tracks the state of each event intake. A new intake is up until an attempt fails. */
export interface IntakeHealth {
  /** Called after each attempt to receive events, successful or not. */
  attempted(origin: Origin, error?: AppError): void;
  /** Called for each valid event. */
  received(origin: Origin): void;
  /** Removes all intakes except these. */
  keep(origins: readonly Origin[]): void;
  /** Returns the states, sorted by kind and then by name. */
  states(): readonly IntakeStatus[];
}

/** How long an intake with transient failures is `degraded`. After this time it is `down`. */
const DEGRADED_MS = 60_000;

interface IntakeRecord {
  readonly origin: Origin;
  lastEvent?: number;
  failing?: { readonly error: AppError; readonly since: number } | undefined;
}

export function createIntakeHealth(clock: Clock): IntakeHealth {
  const intakes = new Map<string, IntakeRecord>();
  const recordOf = (origin: Origin): IntakeRecord => {
    const record = intakes.get(idOf(origin)) ?? { origin };
    intakes.set(idOf(origin), record);
    return record;
  };
  const stateOf = ({ failing }: IntakeRecord): IntakeStatus['state'] => {
    if (failing === undefined) return 'up';
    const isNew = Math.abs(clock.now() - failing.since) < DEGRADED_MS;
    return isNew && isTransient(failing.error.code) ? 'degraded' : 'down';
  };
  return {
    attempted(origin, error) {
      const record = recordOf(origin);
      record.failing = error && { error, since: record.failing?.since ?? clock.now() };
    },
    received(origin) {
      recordOf(origin).lastEvent = clock.now();
    },
    keep(origins) {
      const keptIds = new Set(origins.map(idOf));
      for (const id of intakes.keys()) if (!keptIds.has(id)) intakes.delete(id);
      for (const origin of origins) recordOf(origin);
    },
    states: () =>
      [...intakes.entries()]
        .sort(([a], [b]) => compareText(a, b))
        .map(([, record]) => ({
          ...record.origin,
          state: stateOf(record),
          ...(record.lastEvent === undefined ? {} : { lastEvent: new Date(record.lastEvent).toISOString() }),
          ...(record.failing === undefined ? {} : { code: record.failing.error.code }),
        })),
  };
}

function idOf({ kind, name }: Origin): string {
  return `${kind} ${name}`;
}
