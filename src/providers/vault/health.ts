import { AppError } from '../../core/errors.ts';
import { member } from '../../core/json.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';
import { parseAnswer } from './answer.ts';
import type { VaultClient } from './client.ts';
import type { VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';

/**
 * Asks the server for its health. Only the root namespace has this path.
 * https://developer.hashicorp.com/vault/api-docs/system/health
 */
function askHealth(client: VaultClient, signal: AbortSignal | undefined): Promise<Answer> {
  return client.call(
    (vault, options) => vault.read('sys/health?standbyok=true&perfstandbyok=true', options),
    { inNamespace: false, signal, operation: 'check' },
  );
}

/** Resolves with the health of a server that answers. @throws AppError if the server cannot serve reads. */
export async function reach(client: VaultClient, signal: AbortSignal | undefined): Promise<Answer> {
  const answer = await askHealth(client, signal);
  if (answer.status === 200 && member(parseAnswer(answer), 'initialized') === undefined) {
    throw badAnswer('it is not Vault or OpenBao');
  }
  if (answer.status === 501) throw new AppError('STORE_UNAVAILABLE', { detail: 'it is not initialized' });
  // Ignore any other status. It may come from a proxy that blocks this path, and the login check would report other
  // problems.
  if (answer.status >= 300 && answer.status < 400) throw fromStatus(answer);
  if (answer.status >= 472) throw fromStatus(answer);
  return answer;
}

/**
 * Asks again in each call. The community edition of Vault ignores the header with the namespace and answers from its only
 * namespace. Its value would be the value of another secret, and its 404 would prove nothing.
 * @throws AppError MOUNT_NOT_FOUND, or the error of the failed request.
 */
export async function confirmNamespace(
  { namespace }: Pick<VaultConfig, 'namespace'>,
  client: VaultClient,
): Promise<void> {
  if (namespace === undefined || namespace === 'root') return;
  const answer = await askHealth(client, undefined);
  // OpenBao and a proxy that blocks this path do not name the edition.
  if (answer.status === 200 && member(parseJsonBody(answer), 'enterprise')?.kind === 'false')
    throw new AppError('MOUNT_NOT_FOUND', { detail: 'the community edition of Vault has no namespaces' });
}
