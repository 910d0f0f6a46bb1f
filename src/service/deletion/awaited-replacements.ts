import { formatTarget } from '../../core/target.ts';
import type { Logger } from '../../log/logger.ts';
import type { AwaitingReplacement } from '../../reconcile/presence.ts';
import type { TargetStates } from '../target-states.ts';
import { targetKey } from '../config-snapshot.ts';
import type { TargetState } from '../target-state.ts';

/** What left the configuration, and stays until its mapping has made the new target. */
export interface AwaitedReplacements {
  /** What the job that began then has put off, in place of what was before; whether that is anything. */
  note(waiting: readonly AwaitingReplacement[], since: number): boolean;
}

export interface AwaitedReplacementsDeps {
  readonly states: TargetStates;
  readonly logger: Logger;
  /** What was waited for has come, here or with another replica. */
  readonly onArrival: () => void;
}

export function createAwaitedReplacements({
  states,
  logger,
  onArrival: onCome,
}: AwaitedReplacementsDeps): AwaitedReplacements {
  let awaited: ReadonlySet<string> = new Set();
  let logged: ReadonlySet<string> = new Set();
  states.onChange((state) => {
    if (awaited.has(targetKey(state.mapping, state.target)) && isWritten(state)) onCome();
  });
  /** It may have come while the job ran, when nobody waited for it yet. */
  const hasArrived = ({ by, until }: AwaitingReplacement, since: number): boolean => {
    const state = states.get(by, until);
    return state !== undefined && isWritten(state) && state.endedAt >= since;
  };
  return {
    note(waiting, since) {
      for (const { mapping, target, until } of waiting)
        if (!logged.has(targetKey(mapping, target)))
          logger.warn('a target that left the configuration stays until the new one is there', {
            mapping,
            ...target,
            name: formatTarget(until),
          });
      logged = new Set(waiting.map(({ mapping, target }) => targetKey(mapping, target)));
      awaited = new Set(waiting.map(({ by, until }) => targetKey(by, until)));
      if (waiting.some((awaitingReplacement) => hasArrived(awaitingReplacement, since))) onCome();
      return waiting.length > 0;
    },
  };
}

function isWritten({ alive, error }: TargetState): boolean {
  return alive && error === undefined;
}
