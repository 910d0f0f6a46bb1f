import type { VNode } from 'preact';
import { get } from '../api.ts';
import { Time } from '../format.tsx';
import { Print, Version } from '../parts/change.tsx';
import { Graph } from '../parts/graph.tsx';
import { partAround } from '../parts/graph-layout.ts';
import { Empty, Notice } from '../parts/notice.tsx';
import { SourceLink } from '../parts/subject.tsx';
import { type Column, Table } from '../parts/table.tsx';
import { TargetState } from '../parts/target-state.tsx';
import { Pages, Timeline } from '../parts/timeline.tsx';
import { link, type Route } from '../router.ts';
import type {
  ContentKey,
  Content as ContentOfSecret,
  Graph as GraphData,
  Present,
  SourceVersion,
  Target,
  Timeline as TimelineData,
} from '../types.ts';
import { defineView } from '../view.ts';

const PAGE = 50;
const GRAPH_NODES = 200;

interface Data {
  readonly timeline: TimelineData;
  readonly graph: GraphData | undefined;
}

export const targetView = defineView<Data>({
  title: ({ path }) => `${path[1]}/${path[2]}`,
  refresh: 'redraw',
  async load({ path: [, namespace, secret], query: { cursor } }, signal) {
    const timeline = await get('/api/v1/timeline', {
      query: { namespace, secret, cursor, limit: PAGE },
      signal,
    });
    return { timeline, graph: await graphOf(timeline.now?.targets ?? [], signal) };
  },
  Show: TargetPage,
});

function TargetPage({ data, route }: { readonly data: Data; readonly route: Route }): VNode {
  const { timeline, graph } = data;
  const { path, query } = route;
  const [, namespace, secret] = path;
  const node = graph?.nodes.find((one) => one.id === `secret:${namespace}/${secret}`);
  return (
    <>
      {timeline.now !== undefined && <PresentState now={timeline.now} />}
      {graph !== undefined && node !== undefined && (
        <section aria-labelledby="way">
          <h2 id="way">Where it comes from</h2>
          <Graph
            graph={{ ...partAround(graph, node.id), more: 0 }}
            label="Stores, mapping, Secret and workloads"
            current={node.id}
          />
        </section>
      )}
      <section aria-labelledby="history">
        <h2 id="history">History</h2>
        <p class="muted after-title">
          {'Newest first. '}
          <a href={link(['records'], { namespace, secret })}>Show as records</a>
        </p>
        <Timeline
          changes={timeline.changes}
          empty="There are no changes of this target. Each write, refusal and hold of it appears here."
        />
        <Pages path={path} cursor={query.cursor} next={timeline.next} />
      </section>
    </>
  );
}

function PresentState({ now }: { readonly now: Present }): VNode {
  const { targets = [], held = [], content } = now;
  return (
    <>
      {targets.length === 0 && <Empty text="No mapping wants this target now. Its history stays." />}
      {targets.map((target) => (
        <TargetState key={target.mapping} target={target} />
      ))}
      {held.map(({ id, action }) => (
        <Notice key={id} tone="warn">
          {`A ${action} of this target waits for a decision in the list of `}
          <a href={link(['holds'])}>holds</a>.
        </Notice>
      ))}
      {content !== undefined && <Content content={content} />}
    </>
  );
}

/** The keys and source versions that the target has, according to its latest writes. */
function Content({ content: { keys, sources } }: { readonly content: ContentOfSecret }): VNode {
  return (
    <div class="halves">
      <section class="card" aria-labelledby="content">
        <h2 id="content">Keys</h2>
        {keys.length === 0 ? (
          <p class="muted">The Secret has no keys, or does not exist.</p>
        ) : (
          <Table isFlowing caption="Keys" columns={KEY_COLUMNS} rows={keys} keyOf={({ name }) => name} />
        )}
      </section>
      <section class="card" aria-labelledby="versions">
        <h2 id="versions">Source versions</h2>
        {sources.length === 0 ? (
          <p class="muted">The latest write names no source.</p>
        ) : (
          <Table
            isFlowing
            caption="Source versions"
            columns={SOURCE_COLUMNS}
            rows={sources}
            keyOf={(source) => JSON.stringify(source)}
          />
        )}
      </section>
    </div>
  );
}

const KEY_COLUMNS: readonly Column<ContentKey>[] = [
  { title: 'Key', kind: 'head', cell: ({ name }) => <code class="long">{name}</code> },
  {
    title: 'Fingerprint',
    cell: ({ fingerprint }) => (fingerprint === undefined ? '' : <Print text={fingerprint} />),
  },
  {
    title: 'Since',
    cell: ({ since, sequence }) => (
      <a href={link(['changes', sequence])}>
        <Time at={since} />
      </a>
    ),
  },
];

const SOURCE_COLUMNS: readonly Column<SourceVersion>[] = [
  { title: 'Source', kind: 'head', cell: ({ store, key }) => <SourceLink store={store} source={key} /> },
  { title: 'Property', cell: ({ property = '' }) => <span class="long">{property}</span> },
  {
    title: 'Version',
    cell: ({ store, key, version }) => <Version store={store} source={key} version={version} />,
  },
];

async function graphOf(targets: readonly Target[], signal: AbortSignal): Promise<GraphData | undefined> {
  const [first] = targets;
  if (first === undefined) return undefined;
  return get('/api/v1/graph', { query: { mapping: first.mapping, limit: GRAPH_NODES }, signal });
}
