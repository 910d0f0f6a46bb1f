import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KINDS, layoutOf, NODE, nodeInDirection, partAround } from '../../ui/src/parts/graph-layout.ts';
import type { Graph, GraphNode } from '../../ui/src/types.ts';

/** Graphs whose edges lead from one kind to the next. */
const GRAPHS: fc.Arbitrary<Graph> = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 4, maxLength: 4 }),
    fc.array(fc.tuple(fc.nat(2), fc.nat(11), fc.nat(11)), { maxLength: 40 }),
  )
  .map(([counts, pairs]) => {
    const nodes = KINDS.flatMap((kind, at) =>
      Array.from(
        { length: counts[at] ?? 0 },
        (_, n): GraphNode => ({ id: `${kind}-${n}`, kind, name: `${kind}-${n}`, state: 'synced' }),
      ),
    );
    const ids = new Set(nodes.map(({ id }) => id));
    const edges = pairs
      .map(([at, from, to]) => ({ from: `${KINDS[at]}-${from}`, to: `${KINDS[at + 1]}-${to}` }))
      .filter(({ from, to }) => ids.has(from) && ids.has(to));
    return { nodes, edges, more: 0 };
  });

describe('the picture of the way from stores to workloads', () => {
  it('places every node once, inside the picture, and never one over another', () => {
    fc.assert(
      fc.property(GRAPHS, (graph) => {
        const { nodes, width, height } = layoutOf(graph);
        expect(nodes.map(({ id }) => id).sort()).toEqual(graph.nodes.map(({ id }) => id).sort());
        for (const [at, a] of nodes.entries()) {
          expect(a.x >= 0 && a.x + NODE.width <= width && a.y >= 0 && a.y + NODE.height <= height).toBe(true);
          for (const b of nodes.slice(at + 1))
            expect(Math.abs(a.x - b.x) >= NODE.width || Math.abs(a.y - b.y) >= NODE.height).toBe(true);
        }
      }),
    );
  });

  it('draws every edge between two nodes of the picture', () => {
    fc.assert(
      fc.property(GRAPHS, (graph) => {
        expect(layoutOf(graph).edges.map(({ from, to }) => ({ from, to }))).toEqual(graph.edges);
      }),
    );
  });

  it('walks to the right along an edge and back, and down and up within a column', () => {
    fc.assert(
      fc.property(GRAPHS, (graph) => {
        const layout = layoutOf(graph);
        for (const { id } of layout.nodes) {
          const right = nodeInDirection(layout, id, 'ArrowRight');
          if (right !== undefined) expect(graph.edges).toContainEqual({ from: id, to: right });
          const down = nodeInDirection(layout, id, 'ArrowDown');
          if (down !== undefined) expect(nodeInDirection(layout, down, 'ArrowUp')).toBe(id);
        }
      }),
    );
  });

  it('keeps around a node only what leads to the node, and what the node leads to', () => {
    const graph: Graph = {
      nodes: ['store-a', 'store-b', 'mapping-a', 'secret-a', 'secret-b', 'workload-a', 'workload-b'].map(
        (id): GraphNode => ({
          ...{ id, name: id, state: 'synced' },
          kind: KINDS.find((kind) => id.startsWith(kind)) ?? 'store',
        }),
      ),
      edges: [
        { from: 'store-a', to: 'mapping-a' },
        { from: 'store-b', to: 'mapping-a' },
        { from: 'mapping-a', to: 'secret-a' },
        { from: 'mapping-a', to: 'secret-b' },
        { from: 'secret-a', to: 'workload-a' },
        { from: 'secret-b', to: 'workload-b' },
      ],
      more: 0,
    };
    expect(partAround(graph, 'secret-a').nodes.map(({ id }) => id)).toEqual([
      ...['store-a', 'store-b', 'mapping-a', 'secret-a', 'workload-a'],
    ]);
  });
});
