import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { recordsOf } from '../audit/sample.ts';
import { openAt } from '../integration/audit/database.ts';
import type { Changes } from './changes.ts';
import { findWrongRestarts, judgeContent } from './contents.ts';
import type { Faults } from './faults.ts';
import { type LeakScan, searchPostgres, searchRedis } from './leaks.ts';
import type { Check, Result, SoakOptions } from './options.ts';
import { judgePins, type Pinning } from './pinning.ts';
import type { PollResult } from './poll.ts';
import type { ProcessRun, Replica } from './replica.ts';
import type { Scene } from './scene.ts';
import { judgeRemovals, type SecondSources } from './second-sources.ts';
import { showDistribution, slope } from './stats.ts';
import { type Answered, judgeTriggers } from './triggers.ts';
import type { Witness } from './witness.ts';
import type { World } from './world.ts';
import { judgeWrites, readWrites } from './writes.ts';

export interface RunEvidence {
  readonly scene: Scene;
  readonly world: World;
  readonly witness: Witness;
  readonly faults: Faults;
  readonly changes: Changes;
  readonly seconds: SecondSources;
  readonly pinning: Pinning;
  readonly polled: PollResult;
  readonly scan: LeakScan;
  readonly monitor: string;
  readonly options: SoakOptions;
  readonly firstSyncMs: number;
  readonly startedAt: number;
  readonly quietFrom: number;
  readonly calmFrom: number;
  readonly convergedMs: number | undefined;
  readonly wrong: readonly string[];
}

/** The exit code of a process that starts with an invalid configuration. */
const INVALID_CONFIG = '3';

export async function finalChecks(run: RunEvidence): Promise<Result> {
  const { scene, witness, faults, changes, polled, scan, options, world } = run;
  const unexpectedExits = scene.replicas.flatMap(({ name, runs }) =>
    runs.flatMap(({ unexpectedExit }) =>
      unexpectedExit === undefined || unexpectedExit === INVALID_CONFIG ? [] : [`${name}: ${unexpectedExit}`],
    ),
  );
  const records = await readRecords(scene);
  const writes = await readWrites(scene.kubernetes.auditLogPath ?? '', scene.user);
  const evidence = { writes, changes: witness.changes, records, others: changes.written };
  const written = judgeWrites({ ...evidence, deletedByOthers: changes.deleted });
  const drifts = changes.triggers.filter(({ kind }) => kind !== 'rotation');
  const rotations = changes.triggers.filter(({ kind }) => kind === 'rotation');
  const judge = (triggers: typeof drifts) =>
    judgeTriggers(triggers, witness.changes, changes.written, faults.past);
  const [drift, rotation] = [judge(drifts), judge(rotations)];
  const statuses = await Promise.all(scene.replicas.map((replica) => outOfSyncTargets(replica, world)));
  const { absences } = run.seconds;
  const removals = judgeRemovals(witness.changes, world.items, absences, changes.written);
  const brokenPins = judgePins(witness.changes, run.pinning.pinned);
  const badContents = judgeContent(witness.changes, world.items, changes);
  const wrongRestarts = await findWrongRestarts(scene, world);
  const chain = await chainOf(scene);
  const quietWrites = writes.filter(({ at }) => at > run.calmFrom).length;
  const memory = scene.replicas.map((replica) => memoryOf(replica, run.startedAt, run.quietFrom));

  await searchRedis(scene, scan);
  const codes: (number | null)[] = [];
  for (const replica of scene.replicas) codes.push(await replica.stop());
  for (const { log, name } of scene.replicas) await scan.searchFile(`the log of replica ${name}`, log);
  await scan.searchFile('the commands sent to Redis (MONITOR)', run.monitor);
  await searchPostgres(scene, scan);

  const lateOf = ({ late, lost }: typeof drift) => [...late, ...lost];
  const checks: Check[] = [
    measurement('first sync of everything', `${Math.round(run.firstSyncMs / 1_000)} s`),
    measurement('faults', countNames(faults.past.map(({ name }) => name))),
    measurement('changes', `${rotations.length / 4} rotations of a source, ${drifts.length} manual edits`),
    check('all converged', run.wrong.length === 0, convergedText(run)),
    check(
      'replicas agree',
      statuses.every((targets) => targets.length === 0),
      statuses.flat().slice(0, 8).join('; ') || 'all synced',
    ),
    check(
      'every write once, and audited',
      written.findings.length === 0,
      `${written.writes} writes, ${written.records} records${listFindings(written.findings)}`,
    ),
    check(
      'no target broken or missing',
      badContents.length === 0,
      `${witness.changes.length} changes${listFindings(badContents)}`,
    ),
    check(
      'no key removed without proof',
      removals.length === 0,
      `${absences.length} absences of a source${listFindings(removals)}`,
    ),
    check(
      'pins are respected',
      brokenPins.length === 0,
      `${run.pinning.pinned.length} pins, ${world.pins.size} at the end${listFindings(brokenPins)}`,
    ),
    check(
      'workloads have the latest content',
      wrongRestarts.length === 0,
      listFindings(wrongRestarts) || 'all of them',
    ),
    check('no write without a change', quietWrites === 0, `${quietWrites} writes in the last interval`),
    check('the audit chain', chain.ok, chain.text),
    measurement('drift without faults', showDistribution(drift.undisturbed)),
    measurement(
      'drift during faults',
      `${showDistribution(drift.disturbed)} · after them ${showDistribution(drift.afterFaults)}`,
    ),
    check(
      'no drift late or lost',
      lateOf(drift).length === 0,
      `${drift.late.length} late, ${drift.lost.length} lost${listFindings(lateOf(drift).map(describeLate))}`,
    ),
    measurement('rotations without faults', showDistribution(rotation.undisturbed)),
    measurement(
      'rotations during faults',
      `${showDistribution(rotation.disturbed)} · after them ${showDistribution(rotation.afterFaults)}`,
    ),
    check(
      'no rotation late or lost',
      lateOf(rotation).length === 0,
      `${rotation.late.length} late, ${rotation.lost.length} lost${listFindings(lateOf(rotation).map(describeLate))}`,
    ),
    check(
      'liveness',
      polled.notLive.size === 0,
      `${polled.liveProbes} probes${listFindings([...polled.notLive].map(([probe, count]) => `${probe} × ${count}`))}`,
    ),
    ...memory.map(({ name, text, ok }) => check(`memory of replica ${name}`, ok, text)),
    measurement('calls of the store', `${scene.toStore.calls.length}; in its outages ${outageCalls(run)}`),
    measurement('starts of replicas', scene.replicas.map(({ runs }) => readyText(runs)).join(' · ')),
    check(
      'no replica exits unexpectedly',
      unexpectedExits.length === 0,
      unexpectedExits.join(', ') || 'none',
    ),
    check(
      'all replicas exit cleanly',
      codes.every((code) => code === 0),
      `exit codes ${codes.join(', ')}`,
    ),
    check(
      'no value leaked',
      scan.leaks.size === 0,
      `${Math.round(scan.bytes / 1e6)} MB searched${listFindings([...scan.leaks])}`,
    ),
  ];
  const failed = checks.some(({ ok }) => ok === false);
  if (options.keep || failed)
    await keepEvidence(run, {
      records,
      writes,
      findings: written.findings,
      late: [...lateOf(drift), ...lateOf(rotation)],
    });
  return {
    title: `Soak: ${options.minutes} minutes, ${world.items.length * 4} targets, seed ${options.seed}`,
    checks,
    figures: {
      ...{ minutes: options.minutes, targets: options.targets, seed: options.seed },
      ...{ firstSyncMs: run.firstSyncMs, convergedMs: run.convergedMs },
      drift: { undisturbed: drift.undisturbed, disturbed: drift.disturbed, afterFaults: drift.afterFaults },
      rotation: {
        undisturbed: rotation.undisturbed,
        disturbed: rotation.disturbed,
        afterFaults: rotation.afterFaults,
      },
      ...{ writes: written.writes, records: written.records, findings: written.findings.length },
      memory: memory.map(({ name, text }) => ({ name, text })),
      faults: faults.past,
    },
  };
}

function check(name: string, ok: boolean, says: string): Check {
  return { name, ok, says };
}

function measurement(name: string, says: string): Check {
  return { name, ok: undefined, says };
}

function listFindings(findings: readonly string[]): string {
  if (findings.length === 0) return '';
  const more = findings.length > 5 ? `\n          … and ${findings.length - 5} more` : '';
  return `${findings
    .slice(0, 5)
    .map((finding) => `\n          ${finding}`)
    .join('')}${more}`;
}

async function readRecords(scene: Scene): Promise<readonly AuditRecord[]> {
  await using audit = await openAt(scene.database.url, { readOnly: true });
  return await recordsOf(audit);
}

async function outOfSyncTargets(replica: Replica, { pins }: World): Promise<readonly string[]> {
  const answer = await replica.get('/api/v1/status');
  if (answer?.status !== 200) return [`${replica.name}: no status`];
  const { targets } = answer.body as {
    targets: readonly { namespace: string; secret: string; state: string; code?: string }[];
  };
  return targets
    .filter(
      ({ state, namespace, secret }) => state !== (pins.has(`${namespace}/${secret}`) ? 'pinned' : 'synced'),
    )
    .map(
      ({ namespace, secret, state, code = '' }) => `${replica.name}: ${namespace}/${secret} ${state} ${code}`,
    );
}

function convergedText({ convergedMs, wrong }: RunEvidence): string {
  if (convergedMs === undefined) return `${wrong.length} are wrong: ${wrong.slice(0, 5).join(' ')}`;
  return `${Math.round(convergedMs / 1_000)} s after the last change`;
}

/** Verifies the chain with read access to the database, like an external auditor. */
async function chainOf(scene: Scene): Promise<{ readonly ok: boolean; readonly text: string }> {
  await using audit = await openAt(scene.database.url, { readOnly: true });
  const state = await verify(audit.storedRecords(1), { until: await audit.head() });
  return { ok: state.kind === 'intact', text: JSON.stringify(state) };
}

function describeLate({ trigger, ms, afterFaultsMs, faults }: Answered): string {
  const when = ms === undefined ? 'never' : `after ${ms} ms`;
  const after = afterFaultsMs === undefined ? '' : `, ${afterFaultsMs} ms after ${faults.join(', ')}`;
  return `${trigger.kind} of ${trigger.target} (v${trigger.version}) at ${new Date(trigger.at).toISOString()}: ${when}${after}`;
}

function countNames(names: readonly string[]): string {
  return [...Map.groupBy(names, (name) => name)].map(([name, all]) => `${name} × ${all.length}`).join(', ');
}

const FLAT_MB_PER_MINUTE = 4;
const LONG_MINUTES = 8;

/**
 * Measures the memory growth in the second half of the longest run of a replica. Memory normally grows after a start,
 * so the first half is excluded.
 */
function memoryOf(
  { name, runs }: Replica,
  startedAt: number,
  endedAt: number,
): { name: string; text: string; ok: boolean } {
  const longest = [...runs].sort((a, b) => b.memory.length - a.memory.length)[0];
  const all = runs.flatMap(({ memory }) => memory.map(([, megabytes]) => megabytes));
  const points = (longest?.memory ?? []).filter(([at]) => at >= startedAt && at <= endedAt);
  const half = points.slice(Math.floor(points.length / 2));
  const perMinute = half.length < 2 ? 0 : slope(half) * 60_000;
  const minutes = half.length < 2 ? 0 : ((half.at(-1)?.[0] ?? 0) - (half[0]?.[0] ?? 0)) / 60_000;
  const text =
    `${Math.round(Math.min(...all))} to ${Math.round(Math.max(...all))} MB in ${runs.length} lives; ` +
    `${perMinute.toFixed(2)} MB a minute over the last ${minutes.toFixed(1)} minutes of its longest`;
  // The memory growth of a short run is not judged. After a start, the heap grows to its usual size, and garbage
  // collection alone causes a slope.
  return { name, text, ok: minutes < LONG_MINUTES || perMinute < FLAT_MB_PER_MINUTE };
}

function readyText(lives: readonly ProcessRun[]): string {
  const times = lives.flatMap(({ readyMs }) =>
    readyMs === undefined ? [] : [Math.round(readyMs / 100) / 10],
  );
  return `${lives.length}, ready after ${times.join(', ')} s`;
}

/** Describes the number of calls that reached the store in each outage. */
function outageCalls({ scene, faults }: RunEvidence): string {
  const outages = faults.past.filter(({ name }) => name.startsWith('the store is'));
  return outages
    .map(({ startedAt, endedAt = Date.now() }) => {
      const calls = scene.toStore.calls.filter((at) => at >= startedAt && at < endedAt).length;
      return `${calls} in ${Math.round((endedAt - startedAt) / 1_000)} s`;
    })
    .join(', ');
}

/** Saves the data that the analysis of a failed run needs, without any secret value. */
async function keepEvidence(
  { scene, options, changes, witness, faults }: RunEvidence,
  more: object,
): Promise<void> {
  const folder = options.out === undefined ? 'state/soak' : `${options.out}.evidence`;
  await mkdir(folder, { recursive: true });
  for (const { name, log } of scene.replicas) await copyFile(log, join(folder, `replica-${name}.log`));
  const { triggers } = changes;
  const text = JSON.stringify({
    ...more,
    triggers,
    changes: witness.changes,
    faults: faults.past,
    others: [...changes.written],
  });
  await writeFile(join(folder, 'evidence.json'), text);
  options.report(`The evidence of this run is in ${folder}`);
}
