import type { VNode } from 'preact';
import { get } from '../api.ts';
import { FilterBar } from '../parts/filter-bar.tsx';
import { filtersOf } from '../parts/filters.tsx';
import { Empty } from '../parts/notice.tsx';
import { ReviewableChanges } from '../parts/reviewable-changes.tsx';
import { Pages } from '../parts/timeline.tsx';
import { link, type Route } from '../router.ts';
import type { ChangeList } from '../types.ts';
import { defineView } from '../view.ts';

const PAGE = 50;

export const changesView = defineView<ChangeList>({
  title: () => 'Changes',
  refresh: 'notify',
  load: ({ query }, signal) =>
    get('/api/v1/changes', {
      query: { ...filtersOf(query), state: stateOf(query), cursor: query.cursor, limit: PAGE },
      signal,
    }),
  form: (route) => <Filters route={route} />,
  Show: Changes,
});

function stateOf({ state }: Route['query']): 'open' | 'all' {
  return state === 'open' ? 'open' : 'all';
}

function Filters({ route: { query } }: { readonly route: Route }): VNode {
  const rest = stateOf(query) === 'open' ? { state: 'open' } : {};
  return <FilterBar area="changes" query={query} rest={rest} isOpen={false} />;
}

function Changes({ data, route }: { readonly data: ChangeList; readonly route: Route }): VNode {
  const { query } = route;
  const { changes, next } = data;
  const filters = filtersOf(query);
  return (
    <>
      <Filters route={route} />
      {changes.length === 0 ? (
        <NoChanges query={query} hasFilters={Object.keys(filters).length > 0} hasOlder={next !== undefined} />
      ) : (
        <ReviewableChanges caption="Changes, newest first" changes={changes} />
      )}
      <Pages
        path={['changes']}
        query={{ ...filters, ...(query.state === undefined ? {} : { state: query.state }) }}
        cursor={query.cursor}
        next={next}
      />
    </>
  );
}

function NoChanges({
  query,
  hasFilters,
  hasOlder,
}: {
  readonly query: Route['query'];
  readonly hasFilters: boolean;
  /** A page can be empty although older pages have changes. */
  readonly hasOlder: boolean;
}): VNode {
  if (hasOlder) return <Empty text="No match on this page. Older changes may match." />;
  if (hasFilters)
    return (
      <Empty text="No change matches these filters.">
        <a href={link(['changes'])}>Show all changes</a>
      </Empty>
    );
  if (query.state === 'open')
    return (
      <Empty text="Nothing needs attention. Failures, refusals, held changes and changes without an outcome appear here." />
    );
  return (
    <Empty text="There are no changes yet. The first sync of a mapping writes a Secret, which appears here within seconds." />
  );
}
