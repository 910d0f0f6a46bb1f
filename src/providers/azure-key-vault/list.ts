import type { SecretProperties } from '@azure/keyvault-secrets';
import { abortedBy, type KeyVault } from './clients.ts';
import { fromRefusal, Refusal } from './errors.ts';

/** The limit of Key Vault. */
const PAGE_SIZE = 25;

export interface ListedSecrets {
  readonly items: readonly SecretProperties[];
  /** The number of requests that were made. */
  readonly pages: number;
  /** False if `shouldContinue` stopped the list. */
  readonly complete: boolean;
}

/**
 * Lists all secrets, page by page. Empty pages do not end the list.
 * https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets
 * @param shouldContinue Called after each page.
 * @throws AppError if any part of the list fails.
 */
export async function listSecrets(
  vault: KeyVault,
  signal: AbortSignal | undefined,
  shouldContinue: (items: readonly SecretProperties[], pages: number) => boolean,
): Promise<ListedSecrets> {
  try {
    return await vault.call(
      'secrets',
      async (secrets) => {
        const items: SecretProperties[] = [];
        let pages = 0;
        for await (const page of secrets
          .listPropertiesOfSecrets(abortedBy(signal))
          .byPage({ maxPageSize: PAGE_SIZE })) {
          signal?.throwIfAborted(); // the SDK checks the signal only for the first page
          items.push(...page);
          pages += 1;
          if (!shouldContinue(items, pages)) return { items, pages, complete: false };
        }
        return { items, pages, complete: true };
      },
      signal,
    );
  } catch (error) {
    throw error instanceof Refusal ? fromRefusal(error) : error;
  }
}
