import type { Group } from './table/case.ts';
import { DECODING, FINDING, SPREADING, VERSIONS } from './table/shapes.ts';
import { OBJECTS, TEXTS } from './table/texts.ts';

/**
 * The values in a store, and the result in a Secret. The tests run these cases, and `docs/reference/values.md` shows
 * them.
 */
export const VALUES: readonly Group[] = [
  { title: 'Whole values', cases: TEXTS },
  { title: 'JSON objects', cases: OBJECTS },
  { title: 'Decoding', cases: DECODING },
  { title: 'One key for each member', cases: SPREADING },
  { title: 'Searches', cases: FINDING },
  { title: 'Versions and optional sources', cases: VERSIONS },
];
