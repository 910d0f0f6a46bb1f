import type { FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import type { Requester } from '../service/service.ts';

/** Who asks for it. A public route has nobody, and must not ask. */
export function requesterOf({ requester }: FastifyRequest): Requester {
  if (requester === undefined) throw new AppError('INTERNAL', { detail: 'a change that nobody asked for' });
  return requester;
}
