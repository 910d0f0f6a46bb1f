import { parseObject } from '../../core/json.ts';

/**
 * How far the storage of the cluster had got in the answers so far. The standbys of OpenBao serve reads themselves, from
 * what has reached them: late by a moment as a rule, and without an end while one is cut off from the others. Then a
 * value that was read comes back in its old version, and a key that is new is a 404 like any that does not exist, with
 * the mount confirmed by the same server. So each request says where the answers before it stood, and a standby that is
 * not there yet hands it to the active node.
 */
export interface Position {
  /** For each request from now on. */
  headers(): Readonly<Record<string, string>>;
  /** @param header `X-Vault-Index` of an answer; empty for none. */
  note(header: string): void;
}

interface Index {
  readonly header: string;
  readonly cluster: string;
  readonly value: bigint;
}

export function createPosition(): Position {
  let furthest: Index | undefined;
  return {
    headers: () =>
      furthest === undefined
        ? {}
        : { 'X-Vault-Index': furthest.header, 'X-Vault-Inconsistent': 'forward-active-node' },
    note(header) {
      const index = parse(header);
      if (index === undefined) return;
      // Answers overtake each other. Those of another cluster, as after a move, begin anew.
      if (furthest?.cluster === index.cluster && furthest.value >= index.value) return;
      furthest = index;
    },
  };
}

/**
 * Undefined for whatever is not a number in OpenBao's form. Vault Enterprise has another one, with writes alone, and
 * tokens that carry it by themselves; and what cannot be compared might lead back.
 */
function parse(header: string): Index | undefined {
  if (!/^[A-Za-z0-9+/]{1,500}={0,2}$/.test(header)) return undefined;
  const { cluster, value } = parseObject(Buffer.from(header, 'base64').toString('utf8')) ?? {};
  if (typeof cluster !== 'string' || typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  return { header, cluster, value: BigInt(value) };
}
