import { formatTarget } from '../../core/target.ts';
import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { targetKey } from '../config-snapshot.ts';
import type { TargetState } from '../target-state.ts';
import type { TargetStates } from '../target-states.ts';

/** Tracks orphaned targets that are kept until their replacement is written. */
export interface AwaitedReplacements {
  /**
   * Sets the awaited replacements after a deletion step that began at `since`. Returns whether any replacement is
   * awaited.
   */
  note(waiting: readonly AwaitingReplacement[], since: number): boolean;
}

export interface AwaitedReplacementsDeps {
  readonly states: TargetStates;
  readonly logger: Logger;
  /** Called when any replica has written an awaited replacement. */
  readonly onArrival: () => void;
}

export function createAwaitedReplacements({
  states,
  logger,
  onArrival,
}: AwaitedReplacementsDeps): AwaitedReplacements {
  let awaited: ReadonlySet<string> = new Set();
  let logged: ReadonlySet<string> = new Set();
  states.onChange((state) => {
    if (awaited.has(targetKey(state.mapping, state.target)) && isWritten(state)) onArrival();
  });
  /** Whether the replacement was written during the deletion step, before it was awaited. */
  const hasArrived = ({ by, until }: AwaitingReplacement, since: number): boolean => {
    const state = states.get(by, until);
    return state !== undefined && isWritten(state) && state.endedAt >= since;
  };
  return {
    note(waiting, since) {
      for (const { mapping, target, until } of waiting)
        if (!logged.has(targetKey(mapping, target)))
          logger.warn('an orphaned target stays until its replacement is written', {
            mapping,
            ...target,
            name: formatTarget(until),
          });
      logged = new Set(waiting.map(({ mapping, target }) => targetKey(mapping, target)));
      awaited = new Set(waiting.map(({ by, until }) => targetKey(by, until)));
      if (waiting.some((awaitingReplacement) => hasArrived(awaitingReplacement, since))) onArrival();
      return waiting.length > 0;
    },
  };
}

function isWritten({ alive, error }: TargetState): boolean {
  return alive && error === undefined;
}
