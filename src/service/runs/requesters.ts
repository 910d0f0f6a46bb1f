import type { Action } from '../../audit/entry.ts';
import type { AuditStore } from '../../audit/store.ts';
import type { Clock } from '../../core/clock.ts';
import type { TargetId } from '../../core/target.ts';
import { withoutSuffix } from '../../core/tracer.ts';
import type { ConfigSnapshot } from '../config-snapshot.ts';
import type { Orders } from '../orders.ts';
import type { RunTarget } from './manual-retries.ts';

export interface RequesterDeps {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly clock: Clock;
  readonly orders: Pick<Orders, 'has'>;
  readonly snapshot: () => Pick<ConfigSnapshot, 'forTarget'>;
}

/** A command starts its runs at once. Later, its request id may come from somebody who has read it in the audit. */
const MAX_AGE_MS = 120_000;
/** A run of a command adds few records of its own before its outcome. */
const MAX_RECORDS = 20;

/** The first words of the commands that request runs. */
const COMMANDS: readonly (string | undefined)[] = ['sync', 'rollback', 'unpin'];

/** The actions that record what a person wants, before a run. */
const DECISIONS: readonly Action[] = ['request', 'rollback', 'unpin'];

/**
 * Treats a job as a person's request only if this process has placed the order, or if the audit contains the person's
 * recent command for this target. Anybody with access to Redis can add a job that claims to be a person's request. Such
 * a job is a check like any other.
 */
export function verifyRequester(work: RunTarget, deps: RequesterDeps): RunTarget {
  return async (target, job, options) => {
    const isClaimed = job.reason === 'manual';
    const isKnown = !isClaimed || (await isRequested(target, job.requestId, deps));
    return work(target, isKnown ? job : { ...job, reason: 'sweep' }, options);
  };
}

async function isRequested(target: TargetId, requestId: string, deps: RequesterDeps): Promise<boolean> {
  const { audit, clock, orders, snapshot } = deps;
  if (orders.has(target, requestId)) return true;
  const request = withoutSuffix(requestId);
  const [command] = await audit.list({ request, action: 'command' }, { limit: 1 });
  if (command === undefined || !COMMANDS.includes(command.note?.split(' ', 1)[0])) return false;
  const isRecent = Math.abs(clock.now() - Date.parse(command.time)) <= MAX_AGE_MS;
  const isAboutTarget = snapshot()
    .forTarget(target)
    .some(({ mapping }) => mapping.name === command.mapping);
  if (!isRecent || !isAboutTarget) return false;
  // The request has ended with its first outcome for the target. The records of the command itself do not count.
  const records = await audit.list({ request, ...target }, { limit: MAX_RECORDS });
  return records.every(({ action, phase }) => phase === 'intent' || DECISIONS.includes(action));
}
