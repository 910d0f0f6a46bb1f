import { isIP } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';

/**
 * Behind a proxy, the address of a client is in the header `X-Forwarded-For`. Fastify reads this header only if the
 * connection comes from a trusted proxy, and stops at the first address that is not trusted. But it takes any text for an
 * address, and each text would have limits of its own. So this hook requires an address. Add it before the rate limit.
 */
export function requireForwardedAddress(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    // Without trusted proxies, the address is that of the connection.
    if (request.ips === undefined) return;
    const address = addressIn(request.ip);
    if (address === undefined)
      throw new AppError('INVALID_REQUEST', {
        detail: 'the header `X-Forwarded-For` of a trusted proxy contains no IP address',
        remedy:
          'Let the proxy set `X-Forwarded-For` to the address of its client, or remove it from `http.trustProxy`.',
      });
    if (address !== request.ip) setAddress(request, address);
  });
}

/** Returns the address in an element of `X-Forwarded-For`. Some proxies add a port. */
export function addressIn(text: string): string | undefined {
  const [, ipv6, ipv4] = /^(?:\[([^\]]+)\](?::\d+)?|(\d+(?:\.\d+){3}):\d+)$/.exec(text) ?? [];
  const address = ipv6 ?? ipv4 ?? text;
  return isIP(address) === 0 ? undefined : address;
}

/** In Fastify, `ip` is a getter of the prototype. */
function setAddress(request: FastifyRequest, address: string): void {
  Object.defineProperty(request, 'ip', { value: address });
}
