import type { Clock } from '../../core/clock.ts';
import { type AppError, healsItself } from '../../core/errors.ts';
import { compareText } from '../../core/target.ts';
import type { Origin } from '../../events/hint.ts';
import type { IntakeStatus } from '../../service/service.ts';

/** How each intake of events is. One that is not known yet is well: nothing speaks against it. */
export interface IntakeHealth {
  /** After each attempt, well or not. */
  went(origin: Origin, error?: AppError): void;
  /** An event came that was really one. */
  came(origin: Origin): void;
  /** Forgets all others. */
  keep(origins: readonly Origin[]): void;
  /** By kind, then by name. */
  states(): readonly IntakeStatus[];
}

/** What heals by itself is `degraded` for so long, and then `down`. */
const PATIENCE_MS = 60_000;

interface Known {
  readonly origin: Origin;
  lastEvent?: number;
  failing?: { readonly error: AppError; readonly since: number } | undefined;
}

export function createIntakeHealth(clock: Clock): IntakeHealth {
  const intakes = new Map<string, Known>();
  const at = (origin: Origin): Known => {
    const known = intakes.get(idOf(origin)) ?? { origin };
    intakes.set(idOf(origin), known);
    return known;
  };
  const stateOf = ({ failing }: Known): IntakeStatus['state'] => {
    if (failing === undefined) return 'up';
    const isNew = Math.abs(clock.now() - failing.since) < PATIENCE_MS;
    return isNew && healsItself(failing.error.code) ? 'degraded' : 'down';
  };
  return {
    went(origin, error) {
      const known = at(origin);
      known.failing = error && { error, since: known.failing?.since ?? clock.now() };
    },
    came(origin) {
      at(origin).lastEvent = clock.now();
    },
    keep(origins) {
      const wanted = new Set(origins.map(idOf));
      for (const id of intakes.keys()) if (!wanted.has(id)) intakes.delete(id);
      for (const origin of origins) at(origin);
    },
    states: () =>
      [...intakes.entries()]
        .sort(([a], [b]) => compareText(a, b))
        .map(([, known]) => ({
          ...known.origin,
          state: stateOf(known),
          ...(known.lastEvent === undefined ? {} : { lastEvent: new Date(known.lastEvent).toISOString() }),
          ...(known.failing === undefined ? {} : { code: known.failing.error.code }),
        })),
  };
}

function idOf({ kind, name }: Origin): string {
  return `${kind} ${name}`;
}
