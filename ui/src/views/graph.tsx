import { get } from '../api.ts';
import { Graph } from '../parts/graph.tsx';
import { link } from '../router.ts';
import type { Graph as Data } from '../types.ts';
import { defineView } from '../view.ts';

const LIMIT = 200;

/** The way from stores to workloads, for a store, a mapping or a namespace. */
export const graphView = defineView<Data>({
  title: ({ query: { store, mapping, namespace } }) =>
    store !== undefined
      ? `Store ${store}`
      : mapping !== undefined
        ? `Mapping ${mapping}`
        : namespace !== undefined
          ? `Namespace ${namespace}`
          : 'Graph',
  refresh: 'redraw',
  load: ({ query: { store, mapping, namespace } }, signal) =>
    get('/api/v1/graph', { query: { store, mapping, namespace, limit: LIMIT }, signal }),
  Show: ({ data, route: { query } }) => (
    <>
      <p class="lead">
        <span class="muted">
          {'What comes from which store, and the workloads that use it. The arrow keys move between them. '}
        </span>
        <a
          href={link(['changes'], { store: query.store, mapping: query.mapping, namespace: query.namespace })}
        >
          Show changes
        </a>
      </p>
      <Graph graph={data} label="Stores, mappings, Secrets and workloads" />
    </>
  ),
});
