import type { Route } from './router.ts';
import type { View } from './view.ts';
import { changeView } from './views/change.tsx';
import { changesView } from './views/changes.tsx';
import { codeView } from './views/code.tsx';
import { graphView } from './views/graph.tsx';
import { holdsView } from './views/holds.tsx';
import { mappingView } from './views/mapping.tsx';
import { mappingsView } from './views/mappings.tsx';
import { overviewView } from './views/overview.tsx';
import { personView } from './views/person.tsx';
import { recordView } from './views/record.tsx';
import { recordsView } from './views/records.tsx';
import { reviewView } from './views/review.tsx';
import { searchView } from './views/search.tsx';
import { sourceView } from './views/source.tsx';
import { sourcesView } from './views/sources.tsx';
import { targetView } from './views/target.tsx';

/** The views of the navigation. */
export const AREAS = [
  { name: 'Overview', path: [] },
  { name: 'Review', path: ['review'] },
  { name: 'Changes', path: ['changes'] },
  { name: 'Mappings', path: ['mappings'] },
  { name: 'Holds', path: ['holds'] },
] as const;

/** Areas without an entry in the navigation, and the entry that stands for them. */
const PARENTS = new Map([
  ['records', 'changes'],
  ['people', 'changes'],
  ['codes', 'changes'],
  ['targets', 'mappings'],
  ['sources', 'mappings'],
  ['graph', 'mappings'],
]);

/** Returns the first part of the address of the entry in the navigation to which a view belongs. */
export function areaOf({ path: [area = ''] }: Route): string {
  return PARENTS.get(area) ?? area;
}

/** The views by their address. `*` stands for a name. */
const VIEWS = new Map<string, View>([
  ['', overviewView],
  ['review', reviewView],
  ['changes', changesView],
  ['changes/*', changeView],
  ['records', recordsView],
  ['records/*', recordView],
  ['mappings', mappingsView],
  ['mappings/*', mappingView],
  ['targets/*/*', targetView],
  ['sources', sourcesView],
  ['sources/*/*', sourceView],
  ['people/*', personView],
  ['graph', graphView],
  ['search', searchView],
  ['codes/*', codeView],
  ['holds', holdsView],
]);

export function viewOf({ path: [area = '', ...names] }: Route): View | undefined {
  return VIEWS.get([area, ...names.map(() => '*')].join('/'));
}
