import type { Entry } from '../../src/audit/entry.ts';
import type { Service, Status } from '../../src/service/service.ts';
import { createMemoryAudit, type MemoryAudit } from '../fakes/memory-audit.ts';
import { startTestServer, type TestServer, type TestServerDeps } from '../http/harness.ts';
import { HISTORY_END } from './history.ts';
import { presentClock } from './present.ts';

/** The data of a test installation. */
export interface Scene {
  readonly status: Status;
  readonly mappings: ReturnType<Service['mappings']>;
  readonly entries: readonly Entry[];
}

export interface Site extends AsyncDisposable {
  readonly url: string;
  readonly bench: TestServer;
  readonly audit: MemoryAudit;
  /** The calls that the fake service received. */
  readonly calls: readonly { readonly what: string; readonly by: string }[];
}

/** Returns a clock that starts at `HISTORY_END`. The clock advances by 37 seconds with every call. */
function tickingClock() {
  let now = HISTORY_END;
  return {
    now() {
      now += 37_000;
      return now;
    },
  };
}

/**
 * Starts the real server with a fake service. When a test releases a held change, the fake service removes the change
 * from the list of holds.
 */
export async function openSite(
  { status, mappings, entries }: Scene,
  deps: TestServerDeps = {},
): Promise<Site> {
  const audit = createMemoryAudit({
    clock: tickingClock(),
    instance: status.instance,
    replica: 'bridge-7c9f-x2',
  });
  for (const entry of entries) await audit.append([entry]);
  const calls: { what: string; by: string }[] = [];
  let held = status.held;
  const service: Partial<Service> = {
    status: async () => ({ ...status, held }),
    mappings: () => mappings,
    mapping: (name) => mappings.find(({ mapping }) => mapping === name),
    held: () => held,
    async release(id, by, requestId) {
      calls.push({ what: `release ${id}`, by: by.name });
      held = held.filter((one) => one.id !== id);
      return { ok: true, requestId, summary: { deleted: 1 }, targets: [], held, warnings: [], pending: 0 };
    },
    async sync(name, by, requestId) {
      calls.push({ what: `sync ${name}`, by: by.name });
      return {
        ok: true,
        requestId,
        summary: { updated: 1, unchanged: 2 },
        targets: [],
        held,
        warnings: [],
        pending: 0,
      };
    },
    ...deps.service,
  };
  const api = await startTestServer({ clock: presentClock(), ...deps, audit, service });
  const url = await api.server.listen('127.0.0.1:0');
  return { url, bench: api, audit, calls: calls, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}
