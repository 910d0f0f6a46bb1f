import type { FastifyInstance } from 'fastify';
import { commandEntry, commandOf } from '../audit/entry.ts';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import type { Service } from '../service/service.ts';
import type { Logger } from '../telemetry/logger.ts';
import { actorOf } from './access-control.ts';
import type { Backend, RequestedCommand } from './deps.ts';
import { toHttpError } from './errors.ts';
import { createRecordLimit } from './record-limit.ts';

interface RefusedCommandsDeps extends Pick<Backend, 'audit' | 'service'> {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The codes of requests that are not valid commands. */
const NO_COMMAND: readonly string[] = ['INVALID_REQUEST', 'UNAUTHENTICATED'];

/**
 * Records the commands that were refused before they reached the service, for example because of the role. The service
 * records the others itself.
 */
export function recordRefusedCommands(
  app: FastifyInstance,
  { audit, service, clock, logger }: RefusedCommandsDeps,
): void {
  const takeRecord = createRecordLimit(clock);
  app.addHook('onError', async (request, _, thrown) => {
    const { requester, id: requestId } = request;
    const command = request.routeOptions.config.command?.(request);
    const { error } = toHttpError(thrown);
    if (requester === undefined || command === undefined) return;
    if (error.isTransient || NO_COMMAND.includes(error.code)) return;
    try {
      const [recorded] = await audit.list({ request: requestId, action: 'command' }, { limit: 1 });
      const unrecorded = recorded === undefined ? takeRecord(requester.name) : undefined;
      if (unrecorded === undefined) return;
      const entry = commandEntry(recordable(command, service), actorOf(request), requestId, error);
      await audit.append([{ ...entry, ...(unrecorded === 0 ? {} : { counts: { unrecorded } }) }]);
    } catch (failure) {
      logger.warn('a refused command could not be recorded', { requestId, error: toAppError(failure) });
    }
  });
}

/** An unknown name is not recorded, because it may be a secret value. */
function recordable(
  { verb, mapping, argument }: RequestedCommand,
  service: Pick<Service, 'mapping'>,
): ReturnType<typeof commandOf> {
  const isKnown = mapping !== undefined && service.mapping(mapping) !== undefined;
  return commandOf(verb, isKnown ? mapping : undefined, ...(argument === undefined ? [] : [argument]));
}
