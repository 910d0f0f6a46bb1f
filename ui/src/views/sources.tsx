import { get } from '../api.ts';
import { pluralize, Time } from '../format.tsx';
import { Version } from '../parts/change.tsx';
import { Empty } from '../parts/notice.tsx';
import { SourceLink } from '../parts/subject.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { Pages } from '../parts/timeline.tsx';
import { link } from '../router.ts';
import type { SourceAge, SourceList } from '../types.ts';
import { defineView } from '../view.ts';

const PAGE = 50;

const COLUMNS: readonly Column<SourceAge>[] = [
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
  title: ({ query: { store, olderThan, newerThan } }) =>
    `Source versions${store === undefined ? '' : ` of ${store}`}${ageText(olderThan, newerThan)}`,
  refresh: 'notify',
  load: ({ query: { store, olderThan, newerThan, cursor } }, signal) =>
    get('/api/v1/sources', { query: { store, olderThan, newerThan, cursor, limit: PAGE }, signal }),
  Show: ({ data: { sources, next }, route: { query } }) => (
    <>
      <p class="lead muted">
        The versions that were read last, the oldest first.
        {query.olderThan !== undefined && query.newerThan !== undefined && (
          <>
            {' '}
            <a href={link(['sources'], { store: query.store, olderThan: query.olderThan })}>
              Show older ones too
            </a>
          </>
        )}
      </p>
      {sources.length === 0 ? (
        <Empty text="No source version has this age. Each source that a mapping reads appears here." />
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
        query={{ store: query.store, olderThan: query.olderThan, newerThan: query.newerThan }}
        cursor={query.cursor}
        next={next}
      />
    </>
  ),
});

function ageText(olderThan: string | undefined, newerThan: string | undefined): string {
  if (olderThan === undefined) return newerThan === undefined ? '' : `, at most ${newerThan} old`;
  return newerThan === undefined ? `, older than ${olderThan}` : `, ${olderThan} to ${newerThan} old`;
}
