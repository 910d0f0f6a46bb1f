import { get } from '../api.ts';
import { pluralize, Time } from '../format.tsx';
import { Version } from '../parts/change.tsx';
import { Empty } from '../parts/notice.tsx';
import { SourceLink } from '../parts/subject.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Pages } from '../parts/timeline.tsx';
import type { SourceList } from '../types.ts';
import { defineView } from '../view.ts';

const PAGE = 50;
type Row = SourceList['sources'][number];

const COLUMNS: readonly Column<Row>[] = [
  { title: 'Source', kind: 'head', cell: ({ store, key }) => <SourceLink store={store} source={key} /> },
  {
    title: 'Version',
    cell: ({ store, key, version }) => <Version store={store} source={key} version={version} />,
  },
  { title: 'Since', cell: ({ since }) => <Time at={since} /> },
  { title: 'Age', cell: ({ days }) => pluralize(days, 'day') },
];

/** The source versions in use, the oldest first. */
export const sourcesView = defineView<SourceList>({
  title: ({ query: { store, olderThan } }) =>
    `Source versions${store === undefined ? '' : ` of ${store}`}${olderThan === undefined ? '' : ` older than ${olderThan}`}`,
  refresh: 'notify',
  load: ({ query: { store, olderThan, cursor } }, signal) =>
    get('/api/v1/sources', { query: { store, olderThan, cursor, limit: PAGE }, signal }),
  Show: ({ data: { sources, next }, route: { query } }) => (
    <>
      <p class="lead muted">The versions that were read last, the oldest first.</p>
      {sources.length === 0 ? (
        <Empty text="No source version is that old. Each source that a mapping reads appears here." />
      ) : (
        <Table
          caption="Source versions, oldest first"
          columns={COLUMNS}
          rows={sources}
          keyOf={({ store, key }) => JSON.stringify([store, key])}
        />
      )}
      <Pages
        path={['sources']}
        query={{ store: query.store, olderThan: query.olderThan }}
        cursor={query.cursor}
        next={next}
      />
    </>
  ),
});
