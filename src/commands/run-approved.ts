import { randomUUID } from 'node:crypto';
import type { App } from '../app/app.ts';
import type { ApprovalRequest } from '../audit/decisions.ts';
import { type Actor, commandEntry, commandOf } from '../audit/entry.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { ApprovalStatus } from '../service/approvals.ts';
import {
  type Approver,
  approve,
  CARRY_OUT_MS,
  carryOutApproved,
  type Decision,
  reject,
  unfinishedApprovals,
} from './approvals.ts';
import { isHeldId } from './plan.ts';
import { pruneOrphans } from './prune.ts';
import { releaseHeld } from './release.ts';
import { type LocalRun, rollBackLocally, runTargets, unpinLocally } from './rollback.ts';
import type { SyncReport } from './sync.ts';

interface RunOptions extends Omit<LocalRun, 'by'> {
  /** Throws if orphaned targets must not be deleted now. */
  readonly checkOrphans?: (() => void) | undefined;
}

/** Carries out an approved action in this process, as the person who asked. */
export async function runApproved(
  app: App,
  { record, requested: { action, argument } }: ApprovalRequest,
  { checkOrphans, ...options }: RunOptions = {},
): Promise<SyncReport> {
  const { actor, requestId, mapping = '', namespace = '', secret = '' } = record;
  const by = { actor, requestId };
  switch (action) {
    case 'release': {
      const isMapping = app.config.mappings.some(({ name }) => name === mapping);
      return releaseHeld(app, argument, { ...options, ...by, ...(isMapping ? { only: mapping } : {}) });
    }
    case 'prune':
      return pruneOrphans(app, {
        ...by,
        signal: options.signal,
        check: checkOrphans,
        only: { namespace, secret },
      });
    case 'rollback':
      return reportOf(
        await rollBackLocally(app, { mapping, namespace, to: Number(argument) }, { ...options, by }),
      );
    case 'unpin':
      return reportOf(await unpinLocally(app, { mapping, namespace }, { ...options, by }));
    default: {
      const context = await app.createContext(by);
      const targets = app.targets.filter(
        ({ mapping: { name }, id }) => name === mapping && id.namespace === namespace && id.secret === secret,
      );
      return runTargets(app, context, targets, options);
    }
  }
}

/** A text says why there is no such target any more. */
function reportOf(report: SyncReport | string): SyncReport {
  if (typeof report === 'string') throw new AppError('APPROVAL_CLOSED', { detail: report });
  return report;
}

/** Returns the codes of the targets that did not succeed. */
export function codesOf({ targets }: SyncReport): readonly string[] {
  return targets.flatMap(({ error }) => error?.code ?? []);
}

interface LocalDecision {
  readonly id: string;
  readonly note?: string | undefined;
  readonly actor: Actor;
}

/** Approves a request in this process, and carries out its action. @throws the errors of `approve` */
export async function approveLocally(
  app: App,
  decision: LocalDecision,
  signal?: AbortSignal,
): Promise<SyncReport> {
  let report: SyncReport | undefined;
  await recordingRefusal(app, 'approve', decision, (local) =>
    approve(app, local, async (request) => {
      report = await runApproved(app, request, { signal });
      return codesOf(report);
    }),
  );
  if (report === undefined) throw new AppError('INTERNAL', { detail: 'nothing was carried out' });
  return report;
}

/** Rejects a request in this process. @throws the errors of `reject` */
export function rejectLocally(app: App, decision: LocalDecision): Promise<ApprovalStatus> {
  return recordingRefusal(app, 'reject', decision, (local) => reject(app, local));
}

async function recordingRefusal<T>(
  { audit }: App,
  verb: 'approve' | 'reject',
  { id, note, actor }: LocalDecision,
  work: (decision: Decision) => Promise<T>,
): Promise<T> {
  const requestId = randomUUID();
  try {
    return await work({ id, note, requestId, by: localApprover(actor) });
  } catch (thrown) {
    // Other texts may be secret values.
    const argument = isHeldId(id) ? [id] : [];
    if (thrown instanceof AppError && !thrown.isTransient)
      await audit.append([
        commandEntry(commandOf(`approvals ${verb}`, undefined, ...argument), actor, requestId, thrown),
      ]);
    throw thrown;
  }
}

/**
 * A person who can run a command here can use all credentials of this installation, so this person counts as an operator.
 * The operating system knows no groups of an OIDC provider or of Kubernetes.
 */
function localApprover(actor: Actor): Approver {
  return { actor, groups: [], hasRole: async () => true };
}

const FIRST_RETRY_MS = 30_000;
const MAX_RETRY_MS = 900_000;

/**
 * Returns a function that carries out the approved actions that a crash has interrupted, or that could not be carried out
 * yet.
 * @param checkOrphans Throws if orphaned targets must not be deleted now.
 */
export function createResume(app: App, checkOrphans?: () => void): (signal?: AbortSignal) => Promise<void> {
  const waits = new Map<number, { readonly failures: number; readonly until: number }>();

  async function resume(request: ApprovalRequest, signal: AbortSignal | undefined): Promise<void> {
    const { sequence } = request.record;
    const { failures = 0, until = 0 } = waits.get(sequence) ?? {};
    const approvedAt = Date.parse(request.decision?.time ?? '');
    const now = app.clock.now();
    if (now < until || now - approvedAt < CARRY_OUT_MS) return;
    const wait = (delayMs: number) =>
      void waits.set(sequence, { failures: failures + 1, until: now + delayMs });
    wait(Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS));
    try {
      await carryOutApproved(app, request, async () =>
        codesOf(await runApproved(app, request, { signal, skipRestarts: true, checkOrphans })),
      );
      app.logger.info('an approved action was carried out', { sequence });
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.retryAfterMs !== undefined) wait(error.retryAfterMs);
      app.logger.warn('an approved action could not be carried out', { sequence, error });
    }
  }

  return async (signal) => {
    if (app.config.approvals.length === 0) return;
    for (const request of await unfinishedApprovals(app)) {
      if (signal?.aborted) return;
      // The runs of the target adopt its Secret.
      if (request.requested.action !== 'adopt') await resume(request, signal);
    }
  };
}
