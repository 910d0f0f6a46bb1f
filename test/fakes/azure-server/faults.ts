import {
  applyFault,
  type Canned,
  type Exchange,
  FORMLESS,
  HTTP_FAULTS,
  laters,
  sendCanned,
} from '../http-faults.ts';
import { failure, type Reply } from './vault.ts';

export const FAULTS = [
  ...HTTP_FAULTS,
  'blocked by the firewall',
  'not found at another host',
  'no such vault',
  'no such resource',
  'being deleted',
] as const;
export type Fault = (typeof FAULTS)[number];

const JSON_TYPE = 'application/json; charset=utf-8';

const CANNED: Partial<Record<Fault, () => Canned>> = {
  ...FORMLESS,
  ...laters(failure(429, 'Throttled')),
  'bad request': () => failure(400, 'BadParameter'),
  unauthorized: () => failure(401, 'Unauthorized'),
  forbidden: () => failure(403, 'Forbidden', 'AccessDenied'),
  'blocked by the firewall': () => failure(403, 'Forbidden', 'ForbiddenByFirewall'),
  'not found at another host': () => ({
    status: 404,
    body: '{"statusCode":404,"message":"Resource not found"}',
  }),
  'no such vault': () => failure(404, 'VaultNotFound'),
  'no such resource': () => failure(404, 'ResourceNotFound'),
  'being deleted': () => failure(409, 'Conflict', 'ObjectIsBeingDeleted'),
  throttled: () => failure(429, 'Throttled'),
  'server error': () => failure(500, 'InternalServerError'),
  redirect: () => ({ status: 307, body: '', headers: { location: 'https://127.0.0.1:9/elsewhere' } }),
  'wrong content type': () => ({
    status: 200,
    body: '{"value":"a","id":"https://v/secrets/a/b"}',
    type: 'text/plain',
  }),
  'invalid JSON': () => ({ status: 200, body: '{"value":"mArKeR-53cr3t-vAluE"' }),
};

/** Sends an answer. A fault can replace or change the answer. */
export async function deliver(reply: Reply, fault: Fault | undefined, exchange: Exchange): Promise<void> {
  const canned = fault === undefined ? reply : CANNED[fault]?.();
  if (canned !== undefined) return sendCanned(exchange.outgoing, { type: JSON_TYPE, ...canned });
  const headers = { 'content-type': 'application/json', ...reply.headers };
  await applyFault(fault, exchange, async () => ({ ...reply, headers, body: Buffer.from(reply.body) }));
}
