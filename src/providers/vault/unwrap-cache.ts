import type { SecretValue } from '../../core/secret-value.ts';

interface Unwrapped {
  readonly wrapping: SecretValue;
  readonly secretId: Promise<SecretValue>;
}

/**
 * The secret IDs that were unwrapped in this process, by the location of the wrapping token. A wrapping token works
 * only once, but after each change of the configuration, new providers must log in.
 */
const unwrapped = new Map<string, Unwrapped>();

/**
 * Returns the last token that was unwrapped for this location. The token may be removed after its use, and its secret
 * ID stays valid.
 */
export function lastUnwrappedAt(location: string): SecretValue | undefined {
  return unwrapped.get(location)?.wrapping;
}

/** Returns the secret ID in the token. Unwraps each token only once per process. @throws Errors of `open` */
export async function unwrapOnce(
  location: string,
  wrapping: SecretValue,
  open: () => Promise<SecretValue>,
): Promise<SecretValue> {
  const previous = unwrapped.get(location);
  const existing = [...unwrapped.values()].find((candidate) => candidate.wrapping.equals(wrapping));
  const entry = existing ?? { wrapping, secretId: open() };
  unwrapped.set(location, entry);
  try {
    return await entry.secretId;
  } catch (error) {
    // Forget a failed attempt, because another attempt may succeed.
    if (unwrapped.get(location) === entry) {
      unwrapped.delete(location);
      if (previous !== undefined && previous !== entry) unwrapped.set(location, previous);
    }
    throw error;
  }
}
