import type { SecretProperties } from '@azure/keyvault-secrets';
import { append } from '../../core/lists.ts';
import { abortedBy, type KeyVault } from './clients.ts';
import { fromRefusal, Refusal } from './errors.ts';

/** The maximum number of secrets on one page in Key Vault. */
export const PAGE_SIZE = 25;

export interface ListedSecrets {
  readonly items: readonly SecretProperties[];
  /** The number of requests that were made. */
  readonly pages: number;
  /** False if `shouldContinue` ended the list early. */
  readonly complete: boolean;
}

/**
 * Lists all secrets, page by page. An empty page does not end the list.
 * https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets
 * @param shouldContinue Called after each page. If it returns false, the list ends.
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
          append(items, page);
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
