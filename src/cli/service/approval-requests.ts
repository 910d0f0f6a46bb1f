import { z } from 'zod';
import { APPROVAL_ACTIONS } from '../../core/approval-rules.ts';
import { APPROVAL_STATES, type ApprovalStatus } from '../../service/approvals.ts';
import { SyncResult } from './answers.ts';
import type { Client } from './client.ts';

// The requests of `secretbridge approvals` to a running service.

const Approval = z.looseObject({
  id: z.string(),
  sequence: z.number(),
  action: z.enum(APPROVAL_ACTIONS),
  command: z.string(),
  mapping: z.string(),
  namespace: z.string(),
  secret: z.string(),
  keys: z.object({ added: z.array(z.string()), changed: z.array(z.string()), removed: z.array(z.string()) }),
  state: z.enum(APPROVAL_STATES),
  requestedBy: z.string(),
  requestedAt: z.string(),
  until: z.string(),
  requestId: z.string(),
  decidedBy: z.string().exactOptional(),
  decidedAt: z.string().exactOptional(),
}) satisfies z.ZodType<ApprovalStatus>;

const ApprovalList = z.looseObject({ approvals: z.array(Approval), next: z.string().optional() });
const ApproveResult = SyncResult.extend({ approval: Approval });

export async function approvalsThrough(
  client: Client,
  state: 'open' | 'all',
): Promise<readonly ApprovalStatus[]> {
  const all = new Map<string, ApprovalStatus>();
  let cursor = '';
  for (;;) {
    const { approvals, next } = await client.get(`/api/v1/approvals?state=${state}${cursor}`, ApprovalList);
    const before = all.size;
    for (const approval of approvals) all.set(approval.id, approval);
    // Stop at a page without new requests. Otherwise a faulty cursor could cause an endless loop.
    if (next === undefined || all.size === before) return [...all.values()];
    cursor = `&cursor=${encodeURIComponent(next)}`;
  }
}

export function approveThrough(
  client: Client,
  id: string,
  note: string | undefined,
): Promise<z.output<typeof ApproveResult>> {
  return client.post(`/api/v1/approvals/${encodeURIComponent(id)}/approve`, ApproveResult, bodyOf(note));
}

export function rejectThrough(client: Client, id: string, note: string | undefined): Promise<ApprovalStatus> {
  return client.post(`/api/v1/approvals/${encodeURIComponent(id)}/reject`, Approval, bodyOf(note));
}

function bodyOf(note: string | undefined): object {
  return note === undefined ? {} : { note };
}
