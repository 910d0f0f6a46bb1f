import type { FastifyInstance } from 'fastify';
import { LRUCache } from 'lru-cache';
import { commandEntry, commandOf } from '../audit/entry.ts';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import type { Service } from '../service/service.ts';
import type { Logger } from '../telemetry/logger.ts';
import { actorOf } from './access-control.ts';
import type { Backend, RequestedCommand } from './deps.ts';
import { toHttpError } from './errors.ts';

interface RefusedCommandsDeps extends Pick<Backend, 'audit' | 'service'> {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The maximum number of records about one person in a minute, because people can repeat a request at will. */
const MAX_RECORDS = 20;
const WINDOW_MS = 60_000;
const MAX_PEOPLE = 1_000;

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

/**
 * Limits the records about each person. The returned function returns undefined if the person has reached the limit of
 * this minute. Otherwise it returns the number of refusals without a record since the last record.
 */
function createRecordLimit(clock: Clock): (name: string) => number | undefined {
  const windows = new LRUCache<string, { records: number; skipped: number; readonly until: number }>({
    max: MAX_PEOPLE,
  });
  return (name) => {
    const now = clock.now();
    const last = windows.get(name);
    // If more than a whole window remains, the clock was set back. So end this window.
    const isOver = last === undefined || now >= last.until || last.until - now > WINDOW_MS;
    const window = isOver ? { records: 0, skipped: last?.skipped ?? 0, until: now + WINDOW_MS } : last;
    windows.set(name, window);
    if (window.records >= MAX_RECORDS) {
      window.skipped += 1;
      return undefined;
    }
    window.records += 1;
    const { skipped } = window;
    window.skipped = 0;
    return skipped;
  };
}
