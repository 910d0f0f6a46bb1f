import type { Entry } from '../../src/audit/entry.ts';
import type { Service, Status } from '../../src/service/service.ts';
import { createMemoryAudit, type MemoryAudit } from '../fakes/memory-audit.ts';
import { type Bench, type BenchDeps, openBench } from '../http/harness.ts';

/** What an installation in a test holds. */
export interface Scene {
  readonly status: Status;
  readonly mappings: ReturnType<Service['mappings']>;
  readonly entries: readonly Entry[];
}

export interface Site extends AsyncDisposable {
  readonly url: string;
  readonly bench: Bench;
  readonly audit: MemoryAudit;
  /** What the service was asked to do. */
  readonly asked: readonly { readonly what: string; readonly by: string }[];
}

/** 2026-11-25 08:00 UTC, and 37 seconds later at every look. */
function tickingClock() {
  let now = Date.UTC(2026, 10, 25, 8);
  return {
    now() {
      now += 37_000;
      return now;
    },
  };
}

/** The real server on a port of its own, with a fake service behind it: what is released is held no more. */
export async function openSite({ status, mappings, entries }: Scene, deps: BenchDeps = {}): Promise<Site> {
  const audit = createMemoryAudit({
    clock: tickingClock(),
    instance: status.instance,
    replica: 'bridge-7c9f-x2',
  });
  for (const entry of entries) await audit.append([entry]);
  const asked: { what: string; by: string }[] = [];
  let held = status.held;
  const service: Partial<Service> = {
    status: async () => ({ ...status, held }),
    mappings: () => mappings,
    mapping: (name) => mappings.find(({ mapping }) => mapping === name),
    held: () => held,
    async release(id, by, requestId) {
      asked.push({ what: `release ${id}`, by: by.name });
      held = held.filter((one) => one.id !== id);
      return { ok: true, requestId, summary: { deleted: 1 }, targets: [], held, pending: 0 };
    },
    async sync(name, by, requestId) {
      asked.push({ what: `sync ${name}`, by: by.name });
      return { ok: true, requestId, summary: { updated: 1, unchanged: 2 }, targets: [], held, pending: 0 };
    },
    ...deps.service,
  };
  const bench = await openBench({ ...deps, audit, service });
  const url = await bench.server.listen('127.0.0.1:0');
  return { url, bench, audit, asked, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}
