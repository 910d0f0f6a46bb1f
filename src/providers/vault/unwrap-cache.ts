import type { SecretValue } from '../../core/secret-value.ts';

interface Unwrapped {
  readonly wrapping: SecretValue;
  readonly secretId: Promise<SecretValue>;
}

/**
 * A cache for the whole process, by the location of the wrapping token. A wrapping token works only once, but each
 * configuration change creates new providers, which must log in again.
 */
const unwrapped = new Map<string, Unwrapped>();

/**
 * Returns the last token that was unwrapped for this location. Its content stays valid when the token is removed, which
 * is allowed after its use.
 */
export function lastUnwrappedAt(location: string): SecretValue | undefined {
  return unwrapped.get(location)?.wrapping;
}

/** Returns the content of the token, and unwraps it only once per process. @throws Errors of `open` */
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
    // Forget a failed attempt, because the next one may succeed.
    if (unwrapped.get(location) === entry) {
      unwrapped.delete(location);
      if (previous !== undefined && previous !== entry) unwrapped.set(location, previous);
    }
    throw error;
  }
}
