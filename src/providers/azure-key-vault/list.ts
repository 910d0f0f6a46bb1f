import type { SecretProperties } from '@azure/keyvault-secrets';
import { abortedBy, type KeyVault } from './clients.ts';
import { fromRefusal, Refusal } from './errors.ts';

/** The most that the service gives. */
const PAGE_SIZE = 25;

export interface Listed {
  readonly items: readonly SecretProperties[];
  /** Requests that it took. */
  readonly pages: number;
  /** False when `goOn` ended it. */
  readonly complete: boolean;
}

/**
 * All secrets, page by page. An empty page is no end: the service sends some.
 * https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets
 * @param goOn Asked after each page whether to ask for the next one.
 * @throws AppError for any part of it.
 */
export async function listSecrets(
  vault: KeyVault,
  signal: AbortSignal | undefined,
  goOn: (items: readonly SecretProperties[], pages: number) => boolean,
): Promise<Listed> {
  try {
    return await vault.ask(
      'secrets',
      async (secrets) => {
        const items: SecretProperties[] = [];
        let pages = 0;
        for await (const page of secrets
          .listPropertiesOfSecrets(abortedBy(signal))
          .byPage({ maxPageSize: PAGE_SIZE })) {
          signal?.throwIfAborted(); // the client passes it with the first page only
          items.push(...page);
          pages += 1;
          if (!goOn(items, pages)) return { items, pages, complete: false };
        }
        return { items, pages, complete: true };
      },
      signal,
    );
  } catch (error) {
    throw error instanceof Refusal ? fromRefusal(error) : error;
  }
}
