import { expectedReads } from '../reconcile/ahead.ts';
import type { Generation } from './generation.ts';
import type { Ledger } from './ledger.ts';
import type { ServicePass } from './pass.ts';

/** Whoever belongs to one request reads in one pass: tells it what they will read. */
export function withAhead(
  pass: ServicePass,
  { ledger, generation }: { readonly ledger: Pick<Ledger, 'of'>; readonly generation: () => Generation },
): ServicePass {
  const targets = ledger.of(pass.recorder.requestId);
  pass.expect?.(
    expectedReads(
      targets.flatMap((id) => generation().at(id)),
      pass,
    ),
  );
  return pass;
}
