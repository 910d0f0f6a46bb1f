import { findLeaks, markerOf } from '../leak-search.ts';

/** Finds these secrets in any encoding. */
export function leaksIn(text: string, secrets: readonly string[]): readonly string[] {
  return findLeaks(
    [{ name: 'shown', bytes: text }],
    secrets.map((secret, at) => markerOf(`secret ${at}`, secret)),
  );
}
