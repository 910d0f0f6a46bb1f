import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { vi } from 'vitest';
import { createRandom } from '../integration/e2e/random.ts';
import { kubernetes } from '../integration/services/inject.ts';
import { createLeakScan } from '../soak/leaks.ts';
import { type Check, type Result, showResult } from '../soak/options.ts';
import { distribution, seconds, showDistribution } from '../soak/stats.ts';
import { readWrites } from '../soak/writes.ts';
import { Player } from './actions.ts';
import { applyTimes } from './apply-times.ts';
import { causeFaults } from './faults.ts';
import { type Game, openGame } from './game.ts';
import {
  findBrakeViolations,
  findForeignReads,
  findForeignValues,
  findForeignWrites,
  findWrongDeletions,
} from './isolation.ts';
import { mappingsOf } from './map-state.ts';
import type { Contents } from './model.ts';
import type { GameOptions } from './options.ts';
import { compareAll, findWrongOwners } from './reality.ts';

const PROGRESS_MS = 10_000;

/** Teams apply, break, correct and remove ConfigMaps while stores fail and the service is killed. */
export async function gameDay(options: GameOptions): Promise<Result> {
  const { minutes, seed, report } = options;
  report(`A game day of ${minutes} minutes with ${options.teams} teams, seed ${seed} …`);
  const random = createRandom(seed);
  await using game = await openGame(options);
  const player = new Player(game, random);
  await game.start();
  await player.begin();
  await untilAllSynced(game);
  report('All ConfigMaps of the start are applied.');
  const endsAt = Date.now() + minutes * 60_000;
  const ending = new AbortController();
  const progress = showProgress(game, player, endsAt, ending.signal);
  const { inTurn } = player;
  const faults = causeFaults(game, { random: createRandom(random() * 2 ** 32), endsAt, inTurn });
  await Promise.all([player.play(endsAt), faults]);
  ending.abort();
  await progress;
  report('No more actions and faults …');
  const settled = await settle(game);
  const result = await judge(game, player, settled);
  report(showResult(result));
  return result;
}

async function untilAllSynced({ served, options }: Game): Promise<void> {
  await vi.waitFor(
    async () => {
      const targets = (await served?.status())?.targets ?? [];
      const synced = targets.filter(({ state }) => state === 'synced').length;
      if (synced < options.maps) throw new Error(`${synced} of ${options.maps} targets are in sync`);
    },
    { timeout: 300_000, interval: 500 },
  );
}

interface Settled {
  readonly findings: readonly string[];
  /** Undefined if the model and the service never agreed. */
  readonly ms: number | undefined;
  readonly exact: number;
  readonly held: number;
  readonly contents: Contents;
}

/** Waits until the model and the service agree on every team. */
async function settle(game: Game): Promise<Settled> {
  const contents = await game.contents();
  const began = Date.now();
  let last: Awaited<ReturnType<typeof compareAll>> = { findings: [], exact: 0, held: 0 };
  let reportedAt = began;
  const compare = async (): Promise<Settled> => {
    last = await compareAll(game, contents);
    const { findings } = last;
    if (findings.length === 0) return { ...last, ms: Date.now() - began, contents };
    if (Date.now() - reportedAt > PROGRESS_MS) {
      reportedAt = Date.now();
      game.options.report(`${findings.length} differences are left: ${findings.slice(0, 3).join('; ')}`);
    }
    throw new Error('the model and the service disagree');
  };
  try {
    return await vi.waitFor(compare, { timeout: game.options.settleMs, interval: 1_000 });
  } catch (error) {
    if (last.findings.length === 0) throw error;
    return { ...last, ms: undefined, contents };
  }
}

async function judge(game: Game, player: Player, settled: Settled): Promise<Result> {
  const { witness, rules, world, outages, options, routes } = game;
  const { applies, counts, released } = player.played;
  const { histories, changes } = witness;
  const { auditLogPath } = kubernetes();
  if (auditLogPath === undefined) throw new Error('the audit log of this cluster is not accessible');
  const writes = await readWrites(auditLogPath, world.user);
  const { times, disturbed } = applyTimes(applies, changes, outages);
  const applied = distribution(times);
  const paths = Object.values(routes).flatMap(({ proxy }) => proxy.requests.map(({ path }) => path));
  const deletions = writes.filter(({ verb }) => verb === 'delete').length;
  const targets = new Set(
    [...histories.values()].flatMap((history) =>
      [...history.values()]
        .flat()
        .flatMap((version) =>
          mappingsOf(version, rules).map(({ secret }) => `${version.namespace}/${secret}`),
        ),
    ),
  ).size;
  const { share } = options;
  const brake = findBrakeViolations({ deletions, released, targets, share, held: settled.held });
  const restarts = findRestarts(game);
  const leaks = await findLeaks(game);
  const ofNames = (names: readonly string[]) =>
    [...Map.groupBy(names, (name) => name)].map(([name, all]) => `${all.length} × ${name}`).join(', ');
  const checks: Check[] = [
    measured('actions', [...counts].map(([name, count]) => `${count} × ${name}`).join(', ')),
    measured('faults', ofNames(outages.map(({ of, name }) => `${of}: ${name}`))),
    measured(
      'writes of the service',
      `${writes.length}, of which ${deletions} deletions; ${released} released, ${settled.held} held`,
    ),
    measured('everything agreed after', settled.ms === undefined ? 'never' : seconds(settled.ms)),
    found('the service never ended by itself', game.exits),
    found('no ConfigMap restarted the service', restarts),
    found('the model agrees on every team', settled.findings, `${settled.exact} mappings exactly`),
    found('no value of another team', findForeignValues(changes), `${changes.length} changes`),
    found('no Secret of another team', findForeignWrites(writes, histories, rules)),
    found(
      'no key of another team',
      findForeignReads(keysIn(paths), histories, rules),
      `${paths.length} requests`,
    ),
    found('owners', await findWrongOwners(game)),
    found('only ended mappings lost their Secret', findWrongDeletions(writes, histories, rules)),
    found('the brake', brake),
    found('no value outside of Secrets', leaks),
    {
      name: 'apply to Secret',
      ok: times.length > 0 && applied.p95 < options.applyMs,
      says: `${showDistribution(applied)}; ${disturbed} more during outages`,
    },
  ];
  const figures = { seed: options.seed, applied, disturbed, settledMs: settled.ms, exact: settled.exact };
  return { title: `Game day: ${options.minutes} minutes, seed ${options.seed}`, checks, figures };
}

/** Changed ConfigMaps are applied by the running service. */
function findRestarts({ logs, served }: Game): readonly string[] {
  const lines = [...logs, served?.log() ?? ''].flatMap((log) => log.split('\n'));
  return lines.filter((line) => line.includes('the service restarts with a new configuration'));
}

function measured(name: string, says: string): Check {
  return { name, ok: undefined, says };
}

const SHOWN = 10;

function found(name: string, findings: readonly string[], says = ''): Check {
  const shown = findings.slice(0, SHOWN).join('; ');
  return {
    name,
    ok: findings.length === 0,
    says: findings.length === 0 ? says : `${findings.length}: ${shown}`,
  };
}

/** Returns the keys that the requests of a key/value engine read. */
function keysIn(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    const [, key] = /^\/v1\/secret\/(?:data|metadata)\/([^?]+)/.exec(path) ?? [];
    return key === undefined ? [] : [decodeURIComponent(key)];
  });
}

/** Searches everything that a person can read without the right to Secrets. */
async function findLeaks(game: Game): Promise<readonly string[]> {
  const { world, served, logs, teams, marker } = game;
  if (served === undefined) throw new Error('the service is down');
  const scan = createLeakScan([marker]);
  for (const path of [
    '/metrics',
    '/api/v1/status',
    '/api/v1/held',
    '/api/v1/mappings',
    '/api/v1/audit/records?limit=200',
  ])
    scan.search(path, (await served.get(path)).text);
  scan.search('the audit', JSON.stringify(await world.records()));
  for (const { namespace } of teams) {
    const { body } = await kubernetes().request('GET', `/api/v1/namespaces/${namespace}/events`);
    scan.search(`the Events in ${namespace}`, JSON.stringify(body));
  }
  game.served = undefined;
  await served.stop();
  for (const log of [...logs, served.log()]) scan.search('the log', log);
  scan.search('the audit database', await readFile(join(world.folder, 'state', 'audit.db')));
  return [...scan.leaks];
}

async function showProgress(game: Game, player: Player, endsAt: number, signal: AbortSignal): Promise<void> {
  const { outages, options, witness } = game;
  while (!signal.aborted) {
    const left = Math.max(0, Math.round((endsAt - Date.now()) / 1_000));
    const actions = [...player.played.counts.values()].reduce((sum, count) => sum + count, 0);
    const down = outages.filter(({ until }) => until === undefined).map(({ of, name }) => `${of} (${name})`);
    const { times } = applyTimes(player.played.applies, witness.changes, outages);
    const applied = showDistribution(distribution(times));
    options.report(
      `${left} s left · ${actions} actions · applied ${applied} · down: ${down.join(', ') || 'nothing'}`,
    );
    await sleep(PROGRESS_MS, undefined, { signal }).catch(() => undefined);
  }
}
