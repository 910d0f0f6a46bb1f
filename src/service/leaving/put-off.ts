import { formatTarget } from '../../core/target.ts';
import type { Logger } from '../../log/logger.ts';
import type { Waiting } from '../../reconcile/standing.ts';
import type { Board } from '../board.ts';
import { nameOf } from '../generation.ts';
import type { Known } from '../known.ts';

/** What left the configuration, and stays until its mapping has made the new target. */
export interface PutOff {
  /** What the job that began then has put off, in place of what was before; whether that is anything. */
  note(waiting: readonly Waiting[], since: number): boolean;
}

export interface PutOffDeps {
  readonly board: Board;
  readonly logger: Logger;
  /** What was waited for has come, here or with another replica. */
  readonly onCome: () => void;
}

export function createPutOff({ board, logger, onCome }: PutOffDeps): PutOff {
  let awaited: ReadonlySet<string> = new Set();
  let told: ReadonlySet<string> = new Set();
  board.onKnown((known) => {
    if (awaited.has(nameOf(known.mapping, known.target)) && isThere(known)) onCome();
  });
  /** It may have come while the job ran, when nobody waited for it yet. */
  const hasCome = ({ by, until }: Waiting, since: number): boolean => {
    const known = board.known(by, until);
    return known !== undefined && isThere(known) && known.endedAt >= since;
  };
  return {
    note(waiting, since) {
      for (const { mapping, target, until } of waiting)
        if (!told.has(nameOf(mapping, target)))
          logger.warn('a target that left the configuration stays until the new one is there', {
            mapping,
            ...target,
            name: formatTarget(until),
          });
      told = new Set(waiting.map(({ mapping, target }) => nameOf(mapping, target)));
      awaited = new Set(waiting.map(({ by, until }) => nameOf(by, until)));
      if (waiting.some((it) => hasCome(it, since))) onCome();
      return waiting.length > 0;
    },
  };
}

function isThere({ alive, error }: Known): boolean {
  return alive && error === undefined;
}
