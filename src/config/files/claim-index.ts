import { difference } from '../../core/lists.ts';
import { claimsIn, targetsIn } from './divided.ts';
import type { Located } from './yaml.ts';

/**
 * Counts the names and targets of the mappings of a unit. It is kept from load to load, so that an update costs what
 * has changed.
 */
export class ClaimIndex {
  #nodes: readonly Located[] = [];
  #keys: readonly object[] = [];
  readonly #counts = new Map<string, number>();
  /** The names and targets that several mappings have. */
  readonly #shared = new Set<string>();

  /** Returns the mappings whose name or target another mapping has too, by their indexes. */
  update(nodes: readonly Located[]): readonly number[] {
    // The entry of a mapping stays the same object if the mapping only moves to another line.
    const keys = nodes.map((node) => node.entry ?? node);
    const { removed, added } = difference(this.#keys, keys);
    const [dropped, fresh] = [new Set(removed), new Set(added)];
    for (const [index, key] of this.#keys.entries()) if (dropped.has(key)) this.#add(this.#nodes[index], -1);
    for (const [index, key] of keys.entries()) if (fresh.has(key)) this.#add(nodes[index], 1);
    this.#nodes = nodes;
    this.#keys = keys;
    if (this.#shared.size === 0) return [];
    return nodes.flatMap((node, index) => (idsOf(node).some((id) => this.#shared.has(id)) ? [index] : []));
  }

  #add(node: Located | undefined, by: 1 | -1): void {
    for (const id of node === undefined ? [] : idsOf(node)) {
      const count = (this.#counts.get(id) ?? 0) + by;
      if (count === 0) this.#counts.delete(id);
      else this.#counts.set(id, count);
      if (count > 1) this.#shared.add(id);
      else this.#shared.delete(id);
    }
  }
}

/** Names contain no slash, so they differ from targets. */
function idsOf(node: Located): readonly string[] {
  const claims = claimsIn(node);
  const targets = targetsIn(claims);
  return claims.name === undefined ? targets : [claims.name, ...targets];
}
