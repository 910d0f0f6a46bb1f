import type { AppError } from '../../core/errors.ts';
import { unusableStore } from '../errors.ts';

/** An SQL expression that identifies the server process of a connection, also among several servers. */
export const BACKEND = `format('%s %s', pg_backend_pid(), extract(epoch from pg_postmaster_start_time()))`;

/** The server processes of the open connections to one store. */
export interface Backends {
  /**
   * Checks the server process of a connection, given as the value of `BACKEND`. Our settings, locks and prepared
   * statements are in this process, so it must stay the same, and must serve no other connection. A pooler in
   * transaction mode breaks both rules. Then returns AUDIT_UNAVAILABLE.
   */
  check(connection: object, backend: string): AppError | undefined;
  remove(connection: object): void;
}

export function createBackends(): Backends {
  const backends = new Map<object, string>();
  return {
    check(connection, backend) {
      const known = backends.get(connection);
      if (known === backend) return undefined;
      if (known !== undefined || [...backends.values()].includes(backend)) return sharedConnections();
      backends.set(connection, backend);
      return undefined;
    },
    remove: (connection) => void backends.delete(connection),
  };
}

function sharedConnections(): AppError {
  return unusableStore(
    'its connection pooler shares a connection among clients: it must use session pooling',
    {
      todo: 'Set `pool_mode = session` in the pooler, or set the address of the PostgreSQL server in `audit.store.url`.',
    },
  );
}
