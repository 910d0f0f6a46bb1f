import { randomUUID } from 'node:crypto';
import type { App } from '../app/app.ts';
import { evidenceOf } from '../app/checkpoints.ts';
import { type Actor, commandEntry } from '../audit/entry.ts';
import { renewedPin } from '../audit/last-pins.ts';
import { ACCEPT_RECORDS_NOTE } from '../audit/verify/hmac-check.ts';
import { readVerifyInput, verifyWithEvidence } from '../audit/verify/verify.ts';
import { AppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import { pinnedTo } from '../reconcile/pins.ts';

export interface AcceptedRecords {
  /** The number of records that no known key verified. */
  readonly records: number;
  /** The pins among them. Each one is recorded again. */
  readonly pins: readonly (TargetId & { readonly mapping: string; readonly to: number })[];
  /** The record of the acceptance. Undefined if there was nothing to accept. */
  readonly record?: number;
}

/**
 * Records that a person confirms the records that no known key verifies, for example those of releases without HMACs.
 * Records the pins among them again, so that they are followed. @throws AppError AUDIT_ALTERED if the chain is damaged
 */
export async function acceptRecords(app: App, actor: Actor): Promise<AcceptedRecords> {
  const { problem, unverifiable = 0 } = await verifyWithEvidence({
    ...(await readVerifyInput(app.storedAudit)),
    evidence: await evidenceOf(app),
  });
  if (problem !== undefined)
    throw new AppError('AUDIT_ALTERED', { detail: `${problem.kind} at record ${problem.sequence}` });
  if (unverifiable === 0) return { records: 0, pins: [] };
  const unconfirmed = (await app.pins.inForce()).filter(({ isConfirmed }) => !isConfirmed);
  const requestId = randomUUID();
  const command = commandEntry({ name: ACCEPT_RECORDS_NOTE }, actor, requestId);
  const [record] = await app.audit.append([
    { ...command, counts: { records: unverifiable } },
    ...unconfirmed.map(({ record: pin }) => ({ ...renewedPin(pin), actor, requestId })),
  ]);
  const pins = unconfirmed.map(({ record: { mapping = '', namespace = '', secret = '', ...pin } }) => ({
    ...{ mapping, namespace, secret },
    to: pinnedTo(pin) ?? 0,
  }));
  return { records: unverifiable, pins, ...(record === undefined ? {} : { record: record.sequence }) };
}
