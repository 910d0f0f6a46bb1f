import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fakes/fault-proxy.ts';
import type { Outage } from './apply-times.ts';
import { type Game, STORES, type StoreName } from './game.ts';
import type { Range } from './options.ts';

/** `refused`: each connection is reset. `slow`: each answer takes more than a second. The others are of the proxy. */
const STORE_FAULTS = [
  'refused',
  'slow',
  'hang',
  'server error',
  'unavailable',
  'forbidden',
  'sealed',
  'connection reset in the body',
] as const satisfies readonly (Fault | 'refused' | 'slow')[];
type StoreFault = (typeof STORE_FAULTS)[number];

const SLOW_MS = 1_200;

export interface FaultsInput {
  readonly random: () => number;
  readonly endsAt: number;
  /** Runs work while the service may be killed. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
}

/** Makes the stores fail and kills the service until the end. Resolves when everything is up again. */
export async function causeFaults(game: Game, { random, endsAt, inTurn }: FaultsInput): Promise<void> {
  const { storeSeconds, storePauseSeconds, killPauseSeconds } = game.options.outages;
  const wait = ([least, most]: Range) =>
    sleep(Math.max(0, Math.min((least + random() * (most - least)) * 1_000, endsAt - Date.now())));
  const repeat = async (pause: Range, cause: () => Promise<void>): Promise<void> => {
    for (;;) {
      await wait(pause);
      if (Date.now() >= endsAt) return;
      await cause();
    }
  };
  const failStore = async (store: StoreName): Promise<void> => {
    const fault = STORE_FAULTS[Math.floor(random() * STORE_FAULTS.length)] ?? 'refused';
    const outage = begin(game, store, fault);
    setFault(game, store, fault);
    await wait(storeSeconds);
    setFault(game, store, undefined);
    outage.until = Date.now();
  };
  const kill = async (): Promise<void> => {
    const { served } = game;
    if (served === undefined) return;
    const outage = begin(game, 'service', 'kill -9');
    game.served = undefined;
    served.kill('SIGKILL');
    await served.ended;
    game.logs.push(served.log());
    await game.start();
    outage.until = Date.now();
  };
  await Promise.all([
    ...STORES.map((store) => repeat(storePauseSeconds, () => failStore(store))),
    repeat(killPauseSeconds, () => inTurn(kill)),
  ]);
}

function begin({ outages }: Game, of: Outage['of'], name: string): Outage {
  const outage: Outage = { of, name, from: Date.now() };
  outages.push(outage);
  return outage;
}

function setFault({ routes }: Game, store: StoreName, fault: StoreFault | undefined): void {
  const { proxy, gate } = routes[store];
  proxy.delayMs = fault === 'slow' ? SLOW_MS : 0;
  // With refused logins too, the store would wait for new credentials.
  const path = fault === 'forbidden' ? /^\/v1\/secret\// : undefined;
  proxy.set(fault === 'refused' || fault === 'slow' ? undefined : fault, path);
  if (fault === 'refused') gate.disconnect();
  else gate.restore();
}
