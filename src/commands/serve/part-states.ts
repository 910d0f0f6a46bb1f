import type { Queue } from '../../queue/queue.ts';
import type { Controller } from '../../service/controller.ts';
import type { Health, Status, StoreStatus } from '../../service/service.ts';
import type { StoreCalls } from '../expected-calls.ts';
import type { ChainState } from './audit-warnings.ts';

/** Returns what the status shows about the requests to a store. */
export function callsStatus(
  expected: StoreCalls | undefined,
  lastHour: number | undefined,
): Partial<StoreStatus> {
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
