import type { FastifyRequest } from 'fastify';
import type { Actor } from '../audit/entry.ts';
import { AppError } from '../core/errors.ts';
import type { Requester } from '../service/service.ts';

/** Who asks for it. A public route has nobody, and must not ask. */
export function requesterOf({ requester }: FastifyRequest): Requester {
  if (requester === undefined) throw new AppError('INTERNAL', { detail: 'a change that nobody asked for' });
  return requester;
}

/** The same, as the audit names them. */
export function actorOf(request: FastifyRequest): Actor {
  const { name, address } = requesterOf(request);
  return { kind: 'operator', name, ...(address === undefined ? {} : { address }) };
}
