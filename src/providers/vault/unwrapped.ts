import type { SecretValue } from '../../core/secret-value.ts';

interface Unwrapped {
  readonly wrapping: SecretValue;
  readonly secretId: Promise<SecretValue>;
}

/**
 * Of the whole process, by where each token is found: it works once, and providers come and go with each change of
 * their store's configuration, while logins are needed again.
 */
const unwrapped = new Map<string, Unwrapped>();

/** The token that was last opened there; what was in it stays good when it is removed, as it may be after its use. */
export function lastOpenedAt(place: string): SecretValue | undefined {
  return unwrapped.get(place)?.wrapping;
}

/** What is in this token, opened unless somebody in this process did so. @throws whatever `open` does */
export async function unwrapOnce(
  place: string,
  wrapping: SecretValue,
  open: () => Promise<SecretValue>,
): Promise<SecretValue> {
  const before = unwrapped.get(place);
  const known = [...unwrapped.values()].find((it) => it.wrapping.equals(wrapping));
  const entry = known ?? { wrapping, secretId: open() };
  unwrapped.set(place, entry);
  try {
    return await entry.secretId;
  } catch (error) {
    // What could not be opened now may be so the next time.
    if (unwrapped.get(place) === entry) {
      unwrapped.delete(place);
      if (before !== undefined && before !== entry) unwrapped.set(place, before);
    }
    throw error;
  }
}
