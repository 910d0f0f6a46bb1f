import type { Actor } from '../../audit/entry.ts';
import type { AuditStore } from '../../audit/store.ts';
import { withoutSuffix } from '../../core/tracer.ts';
import type { Reason } from '../../queue/queue.ts';

/** Returns the actor that the audit records for a request. */
export type ActorOf = (requestId: string, kind: Actor['kind']) => Promise<Actor>;

/** @param intakeOf Returns the name of the event source that sent the event of a request, if any. */
export function createActors(
  audit: Pick<AuditStore, 'list'>,
  intakeOf: (requestId: string) => string | undefined,
): ActorOf {
  return async (requestId, kind) => {
    const request = withoutSuffix(requestId);
    if (kind === 'event') {
      const name = intakeOf(request);
      return name === undefined ? { kind } : { kind, name };
    }
    if (kind !== 'operator') return { kind };
    const [command] = await audit.list({ request, action: 'command' }, { limit: 1 });
    return command?.actor ?? { kind };
  };
}

/** The actor that the audit records for each reason. */
export const ACTOR_OF: Readonly<Record<Reason, Actor['kind']>> = {
  manual: 'operator',
  first: 'startup',
  event: 'event',
  drift: 'drift',
  sweep: 'schedule',
};
