import { SYNC_STATES } from '../core/words.ts';
import type { MappingStatus, StoreStatus, SyncState, TargetStatus } from '../service/service.ts';

export interface GraphNode {
  readonly id: string;
  readonly kind: 'store' | 'mapping' | 'secret' | 'workload';
  readonly name: string;
  readonly namespace?: string;
  /** A state of a store, or of a target. A mapping has the worst state of its targets. */
  readonly state: string;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly { readonly from: string; readonly to: string }[];
  /** How many mappings and Secrets are left out. */
  readonly more: number;
}

export interface GraphQuery {
  readonly mapping?: string;
  readonly store?: string;
  readonly namespace?: string;
  readonly limit: number;
}

const RESTART_CODES = ['WORKLOAD_MISSING', 'ROLLOUT_STUCK'];

/** Draws stores, mappings, Secrets and workloads. If there are too many, those in the worst state are drawn. */
export function graphOf(
  mappings: readonly MappingStatus[],
  stores: readonly StoreStatus[],
  query: GraphQuery,
): Graph {
  const drawn = new Drawing(stores, query.limit);
  const selected = select(mappings, query).sort(
    (a, b) => severity(stateOf(a)) - severity(stateOf(b)) || (a.mapping < b.mapping ? -1 : 1),
  );
  for (const mapping of selected) drawn.add(mapping);
  return drawn.result();
}

function select(
  mappings: readonly MappingStatus[],
  { mapping: name, store, namespace }: GraphQuery,
): MappingStatus[] {
  return mappings
    .filter(({ mapping }) => name === undefined || mapping === name)
    .filter((mapping) => store === undefined || storesOf(mapping).includes(store))
    .map((mapping) => ({
      ...mapping,
      targets: mapping.targets.filter((target) => namespace === undefined || target.namespace === namespace),
    }))
    .filter(({ targets }) => namespace === undefined || targets.length > 0);
}

function storesOf({ sources, searches }: MappingStatus): readonly string[] {
  return [...new Set([...sources, ...searches].map(({ store }) => store))];
}

/** Returns the rank of a state. The worst state has the lowest rank. */
function severity(state: SyncState): number {
  return SYNC_STATES.indexOf(state);
}

function stateOf({ targets }: MappingStatus): SyncState {
  const [worst] = targets.map(({ state }) => state).sort((a, b) => severity(a) - severity(b));
  return worst ?? 'waiting';
}

class Drawing {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #edges: { from: string; to: string }[] = [];
  readonly #states: ReadonlyMap<string, string>;
  readonly #limit: number;
  #more = 0;

  constructor(stores: readonly StoreStatus[], limit: number) {
    this.#states = new Map(stores.map(({ name, state }) => [name, state]));
    this.#limit = limit;
  }

  add(mapping: MappingStatus): void {
    const { mapping: name, targets, workloads = [] } = mapping;
    if (this.#nodes.size >= this.#limit) {
      this.#more += 1 + targets.length;
      return;
    }
    const id = this.#node({ id: `mapping:${name}`, kind: 'mapping', name, state: stateOf(mapping) });
    for (const store of storesOf(mapping)) {
      const state = this.#states.get(store) ?? 'unknown';
      this.#edge(this.#node({ id: `store:${store}`, kind: 'store', name: store, state }), id);
    }
    for (const target of targets.toSorted((a, b) => severity(a.state) - severity(b.state)))
      this.#addTarget(id, target, workloads);
  }

  #addTarget(mapping: string, target: TargetStatus, workloads: readonly string[]): void {
    const { namespace, secret, state, code = '' } = target;
    if (this.#nodes.size >= this.#limit) {
      this.#more += 1;
      return;
    }
    const id = `secret:${namespace}/${secret}`;
    this.#edge(mapping, this.#node({ id, kind: 'secret', name: secret, namespace, state }));
    const restart = RESTART_CODES.includes(code) ? 'failed' : 'synced';
    for (const name of workloads) {
      const workload = { id: `workload:${namespace}/${name}`, kind: 'workload', name, namespace } as const;
      this.#edge(id, this.#node({ ...workload, state: restart }));
    }
  }

  result(): Graph {
    return { nodes: [...this.#nodes.values()], edges: this.#edges, more: this.#more };
  }

  #node(node: GraphNode): string {
    if (!this.#nodes.has(node.id)) this.#nodes.set(node.id, node);
    return node.id;
  }

  #edge(from: string, to: string): void {
    this.#edges.push({ from, to });
  }
}
