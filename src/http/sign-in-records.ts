import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Actor, commandEntry, commandOf } from '../audit/entry.ts';
import type { Clock } from '../core/clock.ts';
import { toAppError } from '../core/errors.ts';
import { type Person, personOf } from '../core/person.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Backend, SignInRecords } from './deps.ts';
import { toHttpError } from './errors.ts';
import { createRecordLimit } from './record-limit.ts';

interface SignInRecordsDeps extends Pick<Backend, 'audit' | 'metrics'> {
  readonly clock: Clock;
  readonly logger: Logger;
}

const SIGN_IN = commandOf('sign-in');
const SIGN_OUT = commandOf('sign-out');

export function createSignInRecords({ audit, metrics, clock, logger }: SignInRecordsDeps): SignInRecords {
  // The limit is for all people together, because anybody can start a sign-in from any address.
  const takeRecord = createRecordLimit(clock);
  return {
    async signedIn(request, person) {
      await audit.append([commandEntry(SIGN_IN, actorFrom(request, person), request.id)]);
      metrics.signIn('ok');
      logger.info('a person has signed in', about(request, person));
    },
    async signedOut(request, person, sessionId) {
      await audit.append([commandEntry(SIGN_OUT, actorFrom(request, person), sessionId)]);
      logger.info('a person has signed out', about(request, person));
    },
    async refused(request, error) {
      const person = request.requester;
      metrics.signIn('refused');
      logger.warn('a sign-in was refused', { ...about(request, person), code: error.code });
      const unrecorded = takeRecord('');
      if (unrecorded === undefined) return;
      const entry = commandEntry(SIGN_IN, actorFrom(request, person), request.id, error);
      try {
        await audit.append([{ ...entry, ...(unrecorded === 0 ? {} : { counts: { unrecorded } }) }]);
      } catch (failure) {
        logger.warn('a refused sign-in could not be recorded', {
          requestId: request.id,
          error: toAppError(failure),
        });
      }
    },
    failed: () => metrics.signIn('failed'),
  };
}

function about({ id, ip }: FastifyRequest, person: Person | undefined) {
  return { requestId: id, address: ip, ...(person === undefined ? {} : { name: person.name }) };
}

function actorFrom({ ip: address }: FastifyRequest, person: Person | undefined): Actor {
  return { kind: 'operator', ...(person === undefined ? {} : personOf(person)), address };
}

/** Records every request that fails because of an invalid sign-in, or of an invalid token of the provider. */
export function recordRefusedSignIns(app: FastifyInstance, records: SignInRecords): void {
  app.addHook('onError', async (request, _, thrown) => {
    const { error } = toHttpError(thrown);
    if (error.code === 'SIGN_IN_REFUSED' || error.code === 'ROLE_MISSING')
      await records.refused(request, error);
    else if (error.code === 'OIDC_UNAVAILABLE') records.failed();
  });
}

/** Returns the query for the record of the end of a session. */
export function signOutQuery(sessionId: string) {
  return { request: sessionId, action: 'command' } as const;
}
