import type { TargetId } from '../../core/target.ts';
import { expectedReads } from '../../reconcile/ahead.ts';
import type { Board } from '../board.ts';
import type { Generation } from '../generation.ts';
import type { Ledger } from '../ledger.ts';
import type { Pass } from './pass.ts';

export interface AheadDeps {
  readonly ledger: Pick<Ledger, 'of'>;
  readonly generation: () => Generation;
  readonly board: Pick<Board, 'meta' | 'known'>;
  /** Whether the state of a target is known from a watch. */
  readonly isListed: (id: TargetId) => boolean;
}

/**
 * Whoever belongs to one request reads in one pass: tells it what they will read. And that a target is missing, where
 * the watches say so and nobody has run it yet: one that a run has just made they may not have seen.
 */
export function withAhead(pass: Pass, { ledger, generation, board, isListed }: AheadDeps): Pass {
  const targets = ledger.of(pass.recorder.requestId);
  pass.expect(
    expectedReads(
      targets.flatMap((id) => generation().at(id)),
      pass,
    ),
  );
  const isNew = (id: TargetId) =>
    generation()
      .at(id)
      .every(({ mapping }) => board.known(mapping.name, id) === undefined);
  return { ...pass, isMissing: (id) => isListed(id) && board.meta(id) === undefined && isNew(id) };
}
