import type { VNode } from 'preact';
import { get } from '../api.ts';
import { pluralize, Time } from '../format.tsx';
import { usePage } from '../page.ts';
import { Export } from '../parts/export.tsx';
import { FilterBar } from '../parts/filter-bar.tsx';
import { filtersOf } from '../parts/filters.tsx';
import { Empty } from '../parts/notice.tsx';
import { RecordTable } from '../parts/record-table.tsx';
import { SourceLink } from '../parts/subject.tsx';
import { Table } from '../parts/table.tsx';
import { link, type Route } from '../router.ts';
import type { RecordList, TracedVersion } from '../types.ts';
import { defineView } from '../view.ts';

const SIZES = ['50', '200', '1000'];

export const recordsView = defineView<RecordList>({
  title: () => 'Records',
  refresh: 'notify',
  load: ({ query }, signal) => {
    const { cursor, limit = SIZES[0], fingerprint } = query;
    // With a fingerprint, also show the changes that used a version with this fingerprint.
    const trace = fingerprint === undefined ? undefined : true;
    return get('/api/v1/audit/records', { query: { ...filtersOf(query), trace, cursor, limit }, signal });
  },
  form: (route) => <Filters route={route} />,
  Show: Records,
});

/** On a phone, the fields would hide the list. */
const HAS_SPACE = matchMedia('(min-width: 700px)').matches;

function Filters({ route: { query } }: { readonly route: Route }): VNode {
  return <FilterBar area="records" query={query} rest={pageOf(query)} isOpen={HAS_SPACE} />;
}

function Records({ data, route }: { readonly data: RecordList; readonly route: Route }): VNode {
  const { query } = route;
  const { records, next, versions = [], more = false } = data;
  const filters = filtersOf(query);
  const page = pageOf(query);
  const hasFilters = Object.keys(filters).length > 0;
  return (
    <>
      <Filters route={route} />
      <div class="toolbar">
        <Export filters={filters} isTraced={versions.length > 0} />
      </div>
      {versions.length > 0 && <Traced versions={versions} hasMore={more} />}
      {records.length === 0 ? (
        <Empty text={hasFilters ? 'No record matches these filters.' : 'There are no records yet.'} />
      ) : (
        <RecordTable caption="Records, newest first" records={records} />
      )}
      <div class="pages">
        <span class="muted">
          {records.length > 0 &&
            `${pluralize(records.length, 'record')}, #${records.at(-1)?.sequence} to #${records[0]?.sequence}`}
        </span>
        <nav aria-label="Pages">
          {query.cursor !== undefined && (
            <a class="button" href={link(['records'], { ...filters, ...page })}>
              Newest
            </a>
          )}
          {next !== undefined && (
            <a class="button" rel="next" href={link(['records'], { ...filters, ...page, cursor: next })}>
              Older
            </a>
          )}
        </nav>
        <PageSize query={query} />
      </div>
    </>
  );
}

function pageOf({ limit }: Route['query']): { limit?: string } {
  return limit === undefined ? {} : { limit };
}

interface TracedProps {
  readonly versions: readonly TracedVersion[];
  /** Whether other source versions, which are not in `versions`, also had this value. */
  readonly hasMore: boolean;
}

function Traced({ versions, hasMore }: TracedProps): VNode {
  return (
    <section class="traced" aria-labelledby="traced">
      <h2 id="traced">Sources that had this value</h2>
      <Table
        caption="Sources that had this value"
        columns={[
          {
            title: 'Source',
            kind: 'head',
            cell: ({ store, key }) => <SourceLink store={store} source={key} />,
          },
          { title: 'Version', cell: ({ version = '' }) => <code class="hash">{version}</code> },
          { title: 'First read', cell: ({ firstRead }) => <Time at={firstRead} /> },
        ]}
        rows={versions}
        keyOf={({ store, key, version }) => JSON.stringify([store, key, version])}
      />
      {hasMore && (
        <p>
          {`More source versions had this value than the ${versions.length} shown. To see what used the others, filter by store or source key.`}
        </p>
      )}
      <h2>Records with this value, and changes that used it</h2>
    </section>
  );
}

function PageSize({ query }: { readonly query: Route['query'] }): VNode {
  const { go } = usePage();
  const { limit = '50' } = query;
  return (
    <div class="field inline">
      <label for="page-size">Records on a page</label>
      <select
        id="page-size"
        value={limit}
        onChange={({ currentTarget }) =>
          go(link(['records'], { ...filtersOf(query), limit: currentTarget.value }))
        }
      >
        {SIZES.map((size) => (
          <option key={size} value={size}>
            {size}
          </option>
        ))}
      </select>
    </div>
  );
}
