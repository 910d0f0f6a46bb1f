import type { VNode } from 'preact';
import { find, get } from '../api.ts';
import { duration } from '../format.tsx';
import { usePage } from '../page.ts';
import { Graph } from '../parts/graph.tsx';
import { Empty, Notice } from '../parts/notice.tsx';
import { UnpinButton } from '../parts/pins.tsx';
import { SourceLink } from '../parts/subject.tsx';
import { SyncButton } from '../parts/sync.tsx';
import { TargetTable } from '../parts/target-table.tsx';
import { Pages, Timeline } from '../parts/timeline.tsx';
import { link } from '../router.ts';
import type {
  Graph as GraphData,
  Mapping,
  Search as SearchOfMapping,
  Timeline as TimelineData,
} from '../types.ts';
import { defineView } from '../view.ts';

interface Data {
  readonly mapping: Mapping | undefined;
  readonly timeline: TimelineData;
  readonly graph: GraphData | undefined;
}

const PAGE = 20;
const GRAPH_NODES = 60;

export const mappingView = defineView<Data>({
  title: ({ path }) => `Mapping ${path[1]}`,
  refresh: 'redraw',
  async load({ path: [, name = ''], query: { cursor } }, signal) {
    const [mapping, timeline] = await Promise.all([
      find('/api/v1/mappings/{name}', { path: { name }, signal }),
      get('/api/v1/timeline', { query: { mapping: name, cursor, limit: PAGE }, signal }),
    ]);
    const graph =
      mapping === undefined
        ? undefined
        : await get('/api/v1/graph', { query: { mapping: name, limit: GRAPH_NODES }, signal });
    return { mapping, timeline, graph };
  },
  Show: ({ data: { mapping, timeline, graph }, route: { path, query } }) => (
    <>
      {mapping === undefined ? <NotConfigured /> : <Configured mapping={mapping} />}
      {graph !== undefined && (
        <section aria-labelledby="way">
          <h2 id="way">From stores to workloads</h2>
          <Graph graph={graph} label="Stores, mapping, Secrets and workloads" />
        </section>
      )}
      <section aria-labelledby="history">
        <h2 id="history">History</h2>
        <p class="muted after-title">
          {'Newest first. '}
          <a href={link(['records'], { mapping: path[1] })}>Show as records</a>
        </p>
        <Timeline
          changes={timeline.changes}
          hasSubjects
          empty="There are no changes of this mapping yet. Each write, refusal and hold of its Secrets appears here."
        />
        <Pages path={path} cursor={query.cursor} next={timeline.next} />
      </section>
    </>
  ),
});

/** Records and holds link to this view even if the mapping was removed from the configuration. */
function NotConfigured(): VNode {
  return (
    <Notice tone="plain">
      The configuration has no mapping with this name. Its history is below. Deletions of its Secrets may wait
      in the list of <a href={link(['holds'])}>holds</a>.
    </Notice>
  );
}

function Configured({ mapping }: { readonly mapping: Mapping }): VNode {
  const { may } = usePage();
  const { mapping: name, refreshSeconds, sources, searches, targets } = mapping;
  const isPinned = targets.some(({ pinned }) => pinned !== undefined) && may('operator');
  return (
    <>
      <div class="lead">
        {refreshSeconds === undefined ? (
          'Its file is invalid and not in force. Its Secrets are kept and not updated.'
        ) : (
          <>
            <span class="muted">{`Checked every ${duration(refreshSeconds)}. `}</span>
            <SyncButton mapping={name} />
          </>
        )}
      </div>
      <h2>Targets</h2>
      {targets.length === 0 ? (
        <Empty text="This mapping has no targets now." />
      ) : (
        <TargetTable
          caption="Targets"
          isOneMapping
          targets={targets}
          actions={
            isPinned ? { title: 'Actions', cell: (target) => <UnpinButton target={target} /> } : undefined
          }
        />
      )}
      <h2>Sources</h2>
      <ul class="plain-list">
        {sources.map(({ store, key }) => (
          <li key={JSON.stringify([store, key])}>
            <SourceLink store={store} source={key} />
          </li>
        ))}
        {searches.map((search) => (
          <li key={JSON.stringify(search)}>
            <Search {...search} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** Describes a search. Each key that it finds is read separately. */
function Search({ store, path, name }: SearchOfMapping): VNode {
  return (
    <>
      <span class="muted">{`${store}: `}</span>
      {path === '' ? 'all matching keys' : `all matching keys below ${path}`}
      {name !== undefined && (
        <>
          {' by '}
          <code>{name}</code>
        </>
      )}
    </>
  );
}
