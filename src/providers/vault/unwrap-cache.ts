import type { SecretValue } from '../../core/secret-value.ts';

interface Unwrapped {
  readonly wrapping: SecretValue;
  readonly secretId: Promise<SecretValue>;
}

/**
 * For the whole process, by the location of the wrapping token. The token works once, but providers are recreated on
 * each configuration change, and logins are needed again.
 */
const unwrapped = new Map<string, Unwrapped>();

/**
 * The last token that was unwrapped for this location. Its content stays valid when the token is removed, which is
 * allowed after its use.
 */
export function lastUnwrappedAt(location: string): SecretValue | undefined {
  return unwrapped.get(location)?.wrapping;
}

/** Returns the content of the token, and unwraps it only once per process. @throws whatever `open` throws */
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
    // A failed attempt may succeed the next time.
    if (unwrapped.get(location) === entry) {
      unwrapped.delete(location);
      if (previous !== undefined && previous !== entry) unwrapped.set(location, previous);
    }
    throw error;
  }
}
