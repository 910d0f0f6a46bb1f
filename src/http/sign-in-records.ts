import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Actor, commandEntry, commandOf, type Entry } from '../audit/entry.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { type Person, personOf } from '../core/person.ts';
import type { StartTimer } from '../core/timer.ts';
import type { Logger } from '../telemetry/logger.ts';
import { networkOf } from './connections.ts';
import type { Backend, SignInRecords } from './deps.ts';
import { toHttpError } from './errors.ts';
import { createSignInLimit, type Suppressed } from './sign-in-limit.ts';

interface SignInRecordsDeps extends Pick<Backend, 'audit' | 'metrics'> {
  readonly wake: StartTimer;
  readonly logger: Logger;
}

const SIGN_IN = commandOf('sign-in');
const SIGN_OUT = commandOf('sign-out');

export function createSignInRecords({ audit, metrics, wake, logger }: SignInRecordsDeps): SignInRecords {
  const limit = createSignInLimit(wake, (suppressed) => void recordSuppressed(suppressed));
  let writing: Promise<void> = Promise.resolve();

  /** The answer to the refused person does not depend on this record, so a failure is only logged. */
  async function append(entry: Entry): Promise<void> {
    try {
      await audit.append([entry]);
    } catch (failure) {
      logger.warn('a refused sign-in could not be recorded', {
        requestId: entry.requestId,
        error: toAppError(failure),
      });
    }
  }

  function recordSuppressed({ count, sources }: Suppressed): Promise<void> {
    const refusal = new AppError('SIGN_IN_REFUSED');
    const entry = commandEntry(SIGN_IN, { kind: 'operator' }, randomUUID(), refusal);
    writing = append({ ...entry, counts: { unrecorded: count, sources } });
    return writing;
  }

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
      // The provider has verified a person who has no role, so the address is only the last resort.
      if (!limit.take(person?.subject ?? networkOf(request.ip))) return;
      await append(commandEntry(SIGN_IN, actorFrom(request, person), request.id, error));
    },
    async close() {
      limit.end();
      await writing;
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
  app.addHook('onClose', () => records.close());
}

/** Returns the query for the record of the end of a session. */
export function signOutQuery(sessionId: string) {
  return { request: sessionId, action: 'command' } as const;
}
