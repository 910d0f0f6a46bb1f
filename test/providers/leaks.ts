import { findLeaks, markerOf } from '../leak-search.ts';

/** Where one of these secrets is seen, in whatever form. */
export function leaksIn(shown: string, secrets: readonly string[]): readonly string[] {
  return findLeaks(
    [{ name: 'shown', bytes: shown }],
    secrets.map((secret, at) => markerOf(`secret ${at}`, secret)),
  );
}
