import type { Graph, GraphNode } from '../types.ts';

// The places of the nodes of a graph. Each kind has a column.

export const KINDS = ['store', 'mapping', 'secret', 'workload'] as const;
export const NODE = { width: 208, height: 44 } as const;
const GAP = { column: 84, row: 12 } as const;
const MARGIN = 8;

export interface PlacedNode extends GraphNode {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly {
    readonly id: string;
    readonly path: string;
    readonly from: string;
    readonly to: string;
  }[];
}

/** Places the nodes. A node is near the nodes that it is connected to. */
export function layoutOf({ nodes, edges }: Pick<Graph, 'nodes' | 'edges'>): Layout {
  const columns = KINDS.map((kind) => nodes.filter((node) => node.kind === kind)).filter(
    (column) => column.length > 0,
  );
  const rows = Math.max(1, ...columns.map((column) => column.length));
  const step = NODE.height + GAP.row;
  const height = rows * step - GAP.row + 2 * MARGIN;
  const placed = new Map<string, PlacedNode>();
  for (const [at, column] of columns.entries()) {
    const sorted = sortedByNeighbors(column, edges, placed);
    const top = (height - (column.length * step - GAP.row)) / 2;
    const x = MARGIN + at * (NODE.width + GAP.column);
    for (const [row, node] of sorted.entries()) placed.set(node.id, { ...node, x, y: top + row * step });
  }
  const width = columns.length * (NODE.width + GAP.column) - GAP.column + 2 * MARGIN;
  return { width, height, nodes: [...placed.values()], edges: pathsOf(edges, placed) };
}

/** Sorts by the mean height of the neighbors in the columns before, so that few edges cross. */
function sortedByNeighbors(
  column: readonly GraphNode[],
  edges: Graph['edges'],
  placed: ReadonlyMap<string, PlacedNode>,
): readonly GraphNode[] {
  const heights = new Map(
    column.map(({ id }) => {
      const above = edges.flatMap(({ from, to }) => (to === id ? (placed.get(from)?.y ?? []) : []));
      return [id, above.reduce((sum, y) => sum + y, 0) / Math.max(1, above.length)] as const;
    }),
  );
  return column.toSorted(
    (a, b) => (heights.get(a.id) ?? 0) - (heights.get(b.id) ?? 0) || a.name.localeCompare(b.name),
  );
}

function pathsOf(edges: Graph['edges'], placed: ReadonlyMap<string, PlacedNode>): Layout['edges'] {
  return edges.flatMap(({ from, to }) => {
    const [start, end] = [placed.get(from), placed.get(to)];
    if (start === undefined || end === undefined) return [];
    const [x1, y1] = [start.x + NODE.width, start.y + NODE.height / 2];
    const [x2, y2] = [end.x, end.y + NODE.height / 2];
    const bend = (x1 + x2) / 2;
    return [{ id: `${from} ${to}`, from, to, path: `M${x1} ${y1} C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}` }];
  });
}

/** Returns the part of a graph that leads to a node, and what the node leads to. */
export function partAround({ nodes, edges, more }: Graph, id: string): Graph {
  const kept = new Set([id]);
  for (const [start, end] of [
    ['to', 'from'],
    ['from', 'to'],
  ] as const) {
    const queue = [id];
    for (let current = queue.pop(); current !== undefined; current = queue.pop())
      for (const edge of edges)
        if (edge[start] === current && !kept.has(edge[end])) {
          kept.add(edge[end]);
          queue.push(edge[end]);
        }
  }
  return {
    nodes: nodes.filter((node) => kept.has(node.id)),
    edges: edges.filter(({ from, to }) => kept.has(from) && kept.has(to)),
    more,
  };
}

/** Returns the node in the direction of an arrow key: along an edge, or within the column. */
export function nodeInDirection(layout: Layout, id: string, key: string): string | undefined {
  const { nodes, edges } = layout;
  if (key === 'ArrowRight') return edges.find(({ from }) => from === id)?.to;
  if (key === 'ArrowLeft') return edges.find(({ to }) => to === id)?.from;
  const current = nodes.find((node) => node.id === id);
  const column = nodes.filter(({ x }) => x === current?.x).toSorted((a, b) => a.y - b.y);
  const at = column.findIndex((node) => node.id === id);
  if (key === 'ArrowDown') return column[at + 1]?.id;
  if (key === 'ArrowUp') return column[at - 1]?.id;
  return undefined;
}
