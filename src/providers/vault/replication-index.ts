import { parseObject } from '../../core/json.ts';

/**
 * Tracks the replication state of an OpenBao cluster. A standby serves reads from its own copy. The copy is slightly
 * out of date, and far out of date if the standby is disconnected. A read could then return an old version, or a 404
 * for a new key. So each request contains the newest index of earlier responses, and a standby with an older index
 * forwards the request to the active node.
 */
export interface ReplicationIndex {
  /** Returns the headers that the next request needs. */
  headers(): Readonly<Record<string, string>>;
  /** @param header The header `X-Vault-Index` of a response, or an empty string if there is none. */
  record(header: string): void;
}

interface Index {
  readonly header: string;
  readonly cluster: string;
  readonly value: bigint;
}

export function createReplicationIndex(): ReplicationIndex {
  let furthest: Index | undefined;
  return {
    headers: () =>
      furthest === undefined
        ? {}
        : { 'X-Vault-Index': furthest.header, 'X-Vault-Inconsistent': 'forward-active-node' },
    record(header) {
      const index = parse(header);
      if (index === undefined) return;
      // Responses may arrive in another order, so an index that is not newer is ignored. Another cluster, for example
      // after a migration, starts with its own index.
      if (furthest?.cluster === index.cluster && furthest.value >= index.value) return;
      furthest = index;
    },
  };
}

/**
 * Returns the index in a header. Returns undefined for a header that is not from OpenBao. The index of Vault Enterprise
 * has another format and cannot be compared. Vault Enterprise sends it only for writes, and stores it in the token
 * itself.
 */
function parse(header: string): Index | undefined {
  if (!/^[A-Za-z0-9+/]{1,500}={0,2}$/.test(header)) return undefined;
  const { cluster, value } = parseObject(Buffer.from(header, 'base64').toString('utf8')) ?? {};
  if (typeof cluster !== 'string' || typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  return { header, cluster, value: BigInt(value) };
}
