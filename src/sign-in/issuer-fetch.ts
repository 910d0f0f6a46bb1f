import type { CustomFetch } from 'openid-client';
import { EnvHttpProxyAgent, request } from 'undici';
import { AppError } from '../core/errors.ts';
import { isLoopback } from '../core/loopback.ts';
import { readBounded } from '../providers/answer.ts';
import { fromNetwork } from '../providers/network-errors.ts';

/** The documents and answers of a provider have a few kilobytes. */
const MAX_BYTES = 1024 * 1024;
const TIMEOUT_MS = 5_000;
const KEPT_HEADERS = ['content-type', 'date', 'location'];
/** The statuses whose responses have no body (Fetch standard, "null body status"). */
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/**
 * Returns the `fetch` for all requests to an OIDC provider. It follows no redirect, limits time and size, and verifies
 * certificates always. The provider's documents name further addresses. Such an address must not lead to this machine,
 * unless the provider itself is on this machine.
 */
export function createIssuerFetch(issuer: string): CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    if (isLoopback(url) && !isLoopback(issuer))
      throw new AppError('OIDC_UNAVAILABLE', { detail: 'the provider names an address of this machine' });
    const tls = { rejectUnauthorized: true };
    const agent = new EnvHttpProxyAgent({ allowH2: false, connect: tls, requestTls: tls, proxyTls: tls });
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const answer = await request(url, {
        ...{ dispatcher: agent, method: method as 'GET' | 'POST', headers },
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        ...(body === undefined || body === null ? {} : { body: textOf(body) }),
      });
      const bytes = await readBounded(answer.body, { maxBytes: MAX_BYTES });
      const { statusCode: status } = answer;
      const kept = KEPT_HEADERS.flatMap((name) => {
        const value = answer.headers[name];
        return typeof value === 'string' ? [[name, value] as [string, string]] : [];
      });
      return new Response(WITHOUT_BODY.includes(status) ? null : bytes.toString('utf8'), {
        status,
        headers: kept,
      });
    } catch (thrown) {
      throw unreachable(thrown, timeout.aborted);
    } finally {
      // Do not use `close`, because it would wait for a proxy that does not respond.
      await agent.destroy();
    }
  };
}

/** Requests to a provider have forms as bodies. */
function textOf(body: NonNullable<Parameters<CustomFetch>[1]['body']>): string {
  if (typeof body === 'string' || body instanceof URLSearchParams) return String(body);
  throw new AppError('INTERNAL', { detail: 'a request to the OIDC provider has an unknown body' });
}

function unreachable(thrown: unknown, isLate: boolean): AppError {
  if (thrown instanceof AppError && thrown.code === 'OIDC_UNAVAILABLE') return thrown;
  const { detail } = thrown instanceof AppError ? thrown : fromNetwork(thrown);
  return new AppError('OIDC_UNAVAILABLE', {
    detail: isLate ? 'it did not answer in time' : (detail ?? 'the connection failed'),
  });
}
