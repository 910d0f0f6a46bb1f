import type { TargetedKeyboardEvent, VNode } from 'preact';
import { useRef } from 'preact/hooks';
import { pluralize } from '../format.tsx';
import { link } from '../router.ts';
import type { Graph as Data, GraphNode } from '../types.ts';
import { toneOf } from '../words.ts';
import { type Layout, layoutOf, NODE, nodeInDirection, type PlacedNode } from './graph-layout.ts';
import { Empty } from './notice.tsx';

const TITLES: Readonly<Record<GraphNode['kind'], string>> = {
  store: 'store',
  mapping: 'mapping',
  secret: 'Secret',
  workload: 'workload',
};
/** The number of letters that fit into a node. */
const MAX_LETTERS = 23;

interface Props {
  readonly graph: Data;
  readonly label: string;
  /** The node in the middle of the interest. */
  readonly current?: string;
}

/** Stores, mappings, Secrets and workloads, with their states. The arrow keys walk from node to node. */
export function Graph({ graph, label, current }: Props): VNode {
  const picture = useRef<SVGSVGElement>(null);
  if (graph.nodes.length === 0)
    return <Empty text="Nothing to draw yet. A mapping appears here with its stores after its first sync." />;
  const layout = layoutOf(graph);

  function walk(event: TargetedKeyboardEvent<SVGSVGElement>): void {
    const id = (event.target as Element).closest('[data-node]')?.getAttribute('data-node');
    if (id === null || id === undefined) return;
    const next = nodeInDirection(layout, id, event.key);
    if (next === undefined) return;
    event.preventDefault();
    picture.current?.querySelector<SVGElement>(`[data-node=${CSS.escape(next)}] a`)?.focus();
  }

  return (
    <figure class="graph">
      <svg
        ref={picture}
        data-picture="graph"
        role="group"
        aria-label={label}
        width={layout.width}
        height={layout.height}
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        onKeyDown={walk}
      >
        <Edges layout={layout} current={current} />
        {layout.nodes.map((node) => (
          <Node key={node.id} node={node} isCurrent={node.id === current} />
        ))}
      </svg>
      {graph.more > 0 && <figcaption class="muted">{`and ${pluralize(graph.more, 'more node')}`}</figcaption>}
    </figure>
  );
}

function Edges({
  layout,
  current,
}: {
  readonly layout: Layout;
  readonly current: string | undefined;
}): VNode {
  return (
    <g class="edges">
      {layout.edges.map(({ id, path, from, to }) => (
        <path key={id} d={path} class={from === current || to === current ? 'current' : undefined} />
      ))}
    </g>
  );
}

function Node({ node, isCurrent }: { readonly node: PlacedNode; readonly isCurrent: boolean }): VNode {
  const { id, kind, name, namespace, state, x, y } = node;
  const full = namespace === undefined ? name : `${namespace}/${name}`;
  const short = full.length > MAX_LETTERS ? `…${full.slice(1 - MAX_LETTERS)}` : full;
  const address = addressOf(node);
  const content = (
    <>
      <title>{`${TITLES[kind]} ${full}: ${state}`}</title>
      <rect width={NODE.width} height={NODE.height} rx="6" class="box" />
      <rect width="4" height={NODE.height} rx="2" class={`stripe ${toneOf(state)}`} />
      <text x="14" y="18" class="label">
        {short}
      </text>
      <text x="14" y="35" class="state">
        {`${TITLES[kind]}, ${state}`}
      </text>
    </>
  );
  return (
    <g data-node={id} transform={`translate(${x} ${y})`} class={`node${isCurrent ? ' current' : ''}`}>
      {address === undefined ? content : <a href={address}>{content}</a>}
    </g>
  );
}

function addressOf({ kind, name, namespace = '' }: GraphNode): string | undefined {
  switch (kind) {
    case 'store':
      return link(['graph'], { store: name });
    case 'mapping':
      return link(['mappings', name]);
    case 'secret':
      return link(['targets', namespace, name]);
    case 'workload':
      return namespace === '' ? undefined : link(['graph'], { namespace });
  }
}
