import type { Group } from './table/case.ts';
import { DECODING, FINDING, SPREADING, VERSIONS } from './table/shapes.ts';
import { OBJECTS, TEXTS } from './table/texts.ts';

/** The test cases: values in a store and the resulting Secret. `docs/reference/values.md` displays the same cases. */
export const VALUES: readonly Group[] = [
  { title: 'Whole values', cases: TEXTS },
  { title: 'JSON objects', cases: OBJECTS },
  { title: 'Decoding', cases: DECODING },
  { title: 'One key for each member', cases: SPREADING },
  { title: 'Searches', cases: FINDING },
  { title: 'Versions and optional sources', cases: VERSIONS },
];
