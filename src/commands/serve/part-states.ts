import type { App } from '../../app/app.ts';
import { compareText } from '../../core/target.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Controller } from '../../service/controller.ts';
import type { Health, Status, StoreStatus } from '../../service/service.ts';
import { expectedCalls, type StoreCalls } from '../expected-calls.ts';
import type { ChainState } from './audit-warnings.ts';

/** Returns the status of each store, by name. */
export function storeStatuses({ config, stores }: App, targets: App['targets']): readonly StoreStatus[] {
  const taken = (store: string) => stores.usage(store)?.ways ?? [];
  const all = expectedCalls(config, targets, { taken });
  const expected = new Map(all.map((storeCalls) => [storeCalls.store, storeCalls]));
  return config.stores
    .toSorted((a, b) => compareText(a.name, b.name))
    .map(({ name, kind }) => {
      const { state, lastSuccess, error, breakerOpen } = stores.state(name);
      return {
        name,
        kind,
        state,
        lastSuccess: lastSuccess === undefined ? null : new Date(lastSuccess).toISOString(),
        ...(error === undefined ? {} : { code: error.code }),
        breakerOpen,
        ...callsStatus(expected.get(name), stores.usage(name)?.lastHour),
      };
    });
}

/** Returns what the status shows about the requests to a store. */
function callsStatus(expected: StoreCalls | undefined, lastHour: number | undefined): Partial<StoreStatus> {
  return {
    ...(expected?.way === undefined ? {} : { way: expected.way }),
    ...(lastHour === undefined ? {} : { callsPerHour: lastHour }),
    ...(expected === undefined ? {} : { expectedCallsPerHour: expected.perHour }),
  };
}

export function stateOf({ state, error }: ReturnType<Queue['health']>): { state: Health; code?: string } {
  return { state, ...(error === undefined ? {} : { code: error.code }) };
}

export function clusterState(controller: Controller): { state: Health; code?: string } {
  const error = controller.clusterError();
  return error === undefined ? { state: 'up' } : { state: 'degraded', code: error.code };
}

export function unverifiableCount(chain: ChainState | undefined): Pick<Status['audit'], 'unverifiable'> {
  const unverifiable = chain?.unverifiable() ?? 0;
  return unverifiable === 0 ? {} : { unverifiable };
}
