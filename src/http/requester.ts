import type { FastifyRequest } from 'fastify';
import type { Actor } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import type { Requester } from '../service/service.ts';

/** Returns the caller. @throws AppError INTERNAL on a public route, where the caller is unknown. */
export function requesterOf({ requester }: FastifyRequest): Requester {
  if (requester === undefined)
    throw new AppError('INTERNAL', { detail: 'a public route asked for its caller' });
  return requester;
}

/** Returns the caller as the actor of an audit record. */
export function actorOf(request: FastifyRequest): Actor {
  const { name, address } = requesterOf(request);
  return { kind: 'operator', name, ...(address === undefined ? {} : { address }) };
}
