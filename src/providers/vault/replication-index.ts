import { parseObject } from '../../core/json.ts';

/**
 * Tracks the replication state of an OpenBao cluster. Standbys serve reads from their own copy, which is slightly late,
 * or very late if a standby is cut off. It could return an old version, or a 404 for a new key. So each request sends
 * the index of the earlier responses, and a standby that is behind forwards it to the active node.
 */
export interface ReplicationIndex {
  /** The headers for the next request. */
  headers(): Readonly<Record<string, string>>;
  /** @param header `X-Vault-Index` of a response; empty if missing. */
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
      // Responses may arrive out of order. Another cluster, for example after a migration, starts with a new index.
      if (furthest?.cluster === index.cluster && furthest.value >= index.value) return;
      furthest = index;
    },
  };
}

/**
 * Undefined if the header is not an OpenBao index. The index of Vault Enterprise has another format that cannot be
 * compared. Vault sends it for writes only, and stores it in the token itself.
 */
function parse(header: string): Index | undefined {
  if (!/^[A-Za-z0-9+/]{1,500}={0,2}$/.test(header)) return undefined;
  const { cluster, value } = parseObject(Buffer.from(header, 'base64').toString('utf8')) ?? {};
  if (typeof cluster !== 'string' || typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined;
  return { header, cluster, value: BigInt(value) };
}
