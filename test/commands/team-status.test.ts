import { describe, expect, it } from 'vitest';
import type { AnnotatedConfigMap, ConfigMapAnnotations } from '../../src/cluster/team-ports.ts';
import { TeamStatus } from '../../src/commands/serve/team-status.ts';
import type { IncludeState } from '../../src/config/config.ts';
import { AppError } from '../../src/core/errors.ts';
import { observedText, statusOfTargets } from '../../src/service/config-map-status.ts';
import type { SyncState, TargetStatus } from '../../src/service/service.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const PLACE = { namespace: 'shop', name: 'app' };
const PATH = 'configmap:shop/app';
const PREFIX = 'status.secretbridge.dev/';

function target(state: SyncState, more: Partial<TargetStatus> = {}): TargetStatus {
  const id = { mapping: 'shop.db', namespace: 'shop', secret: 'db' };
  return { ...id, state, lastSuccess: null, staleSeconds: null, ...more };
}

function open() {
  const time = createManualTime();
  const map = { ...PLACE, uid: 'u', annotations: {} as Readonly<Record<string, string>> };
  const writes: string[] = [];
  const warnings: string[] = [];
  const scene = {
    ...{ time, map, writes, warnings, reads: 0 },
    targets: [target('synced')] as readonly TargetStatus[],
    unsettled: false,
    include: { path: PATH, state: 'valid', problems: [], namespaces: ['shop'] } as IncludeState,
    fail: undefined as AppError | undefined,
  };
  const annotations: ConfigMapAnnotations = {
    async read(): Promise<AnnotatedConfigMap> {
      scene.reads += 1;
      if (scene.fail !== undefined) throw scene.fail;
      return { ...map };
    },
    async write(_, next) {
      map.annotations = next;
      writes.push(next[`${PREFIX}state`] ?? 'removed');
      status.configMapChanged(PLACE);
      return true;
    },
  };
  const status = new TeamStatus({
    annotations,
    config: () => ({
      instance: 'prod',
      formerInstances: ['old'],
      includes: [scene.include],
      configMapOf: new Map([['shop.db', PATH]]),
    }),
    targets: () => scene.targets,
    isSettled: () => !scene.unsettled,
    timers: time,
    logger: { warn: (message) => void warnings.push(message) },
  });
  const follow = (text = 'mappings: []') => status.follow({ withStatus: new Map([[PATH, text]]) });
  return Object.assign(scene, { status, follow });
}

describe('the status of a ConfigMap', () => {
  it('is written once, and again only if it changes', async () => {
    const scene = open();
    scene.follow();
    await scene.time.advance(120_000);
    expect(scene.writes).toEqual(['synced']);
    expect(scene.map.annotations).toEqual({
      [`${PREFIX}state`]: 'synced',
      [`${PREFIX}message`]: '1 of 1 Secrets in sync',
      [`${PREFIX}observed`]: 'mappings: []',
      [`${PREFIX}instance`]: 'prod',
    });
    const { reads } = scene;
    await scene.time.advance(600_000);
    expect(scene.reads).toBe(reads);
    const error = { code: 'NOT_OWNED', message: 'not ours', remedy: 'Adopt it.' };
    scene.targets = [target('synced'), target('refused', { secret: 'web', ...error })];
    scene.status.changed();
    await scene.time.advance(2_000);
    expect(scene.writes).toEqual(['synced', 'refused']);
    expect(scene.map.annotations).toMatchObject({
      [`${PREFIX}code`]: 'NOT_OWNED',
      [`${PREFIX}message`]: '1 of 2 Secrets in sync; web: NOT_OWNED: not ours. Adopt it.',
    });
  });

  it('waits for the run after a change, and reports only a long wait', async () => {
    const scene = open();
    scene.unsettled = true;
    scene.follow();
    await scene.time.advance(60_000);
    expect(scene.writes).toEqual([]);
    await scene.time.advance(60_000);
    expect(scene.writes).toEqual(['waiting']);
    scene.unsettled = false;
    scene.status.changed();
    await scene.time.advance(3_000);
    expect(scene.writes).toEqual(['waiting', 'synced']);
  });

  it('describes new mappings with the same targets', async () => {
    const scene = open();
    scene.follow();
    await scene.time.advance(5_000);
    scene.follow('mappings: [] # the same');
    await scene.time.advance(5_000);
    expect(scene.map.annotations[`${PREFIX}observed`]).toBe('mappings: [] # the same');
    expect(scene.writes).toHaveLength(2);
  });

  it('names the problem of mappings that are not in force', async () => {
    const scene = open();
    const place = { file: PATH, line: 3, column: 5, path: 'mappings' };
    const problem = { ...place, code: 'CONFIG_INVALID' as const, message: 'expected a list' };
    scene.include = { ...scene.include, state: 'outdated', problems: [problem] };
    scene.follow();
    await scene.time.advance(2_000);
    expect(scene.map.annotations).toMatchObject({
      [`${PREFIX}state`]: 'invalid',
      [`${PREFIX}code`]: 'CONFIG_INVALID',
      [`${PREFIX}message`]: `${PATH}:3:5 expected a list`,
    });
  });

  it('comes back if somebody removes it, in growing intervals', async () => {
    const scene = open();
    scene.follow();
    await scene.time.advance(5_000);
    const removeFor = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 1_000) {
        scene.map.annotations = {};
        scene.status.configMapChanged(PLACE);
        await scene.time.advance(1_000);
      }
    };
    await removeFor(20_000);
    expect(scene.writes.length).toBeGreaterThan(1);
    await removeFor(1_200_000);
    expect(scene.writes.length).toBeLessThan(15);
  });

  it('leaves the annotations of another instance, and takes over those of a former one', async () => {
    const scene = open();
    scene.map.annotations = { [`${PREFIX}instance`]: 'other', [`${PREFIX}state`]: 'failed' };
    scene.follow();
    await scene.time.advance(120_000);
    expect(scene.writes).toEqual([]);
    expect(scene.warnings).toEqual(['the annotations of a ConfigMap belong to another instance']);
    scene.map.annotations = { [`${PREFIX}instance`]: 'old', [`${PREFIX}state`]: 'failed' };
    scene.status.configMapChanged(PLACE);
    await scene.time.advance(2_000);
    expect(scene.writes).toEqual(['synced']);
  });

  it('pauses after a failure, and warns once', async () => {
    const scene = open();
    scene.fail = new AppError('CLUSTER_FORBIDDEN');
    scene.follow();
    for (let index = 0; index < 30; index += 1) {
      scene.status.changed();
      await scene.time.advance(1_000);
    }
    expect({ reads: scene.reads, warnings: scene.warnings }).toEqual({
      reads: 1,
      warnings: ['the status of ConfigMaps could not be written'],
    });
    scene.fail = undefined;
    await scene.time.advance(60_000);
    expect(scene.writes).toEqual(['synced']);
  });

  it('is removed when the ConfigMap loses its labels, and ends with the service', async () => {
    const scene = open();
    scene.follow();
    await scene.time.advance(2_000);
    await scene.status.lostLabels(PLACE);
    await scene.status.lostLabels(PLACE);
    expect(scene.writes).toEqual(['synced', 'removed']);
    await scene.status[Symbol.asyncDispose]();
    scene.follow();
    await scene.time.advance(120_000);
    expect(scene.writes).toHaveLength(2);
  });
});

describe('what a status says', () => {
  it('is the worst state of all targets', () => {
    const worst: readonly SyncState[] = ['failed', 'refused', 'stale', 'held', 'waiting', 'pinned', 'synced'];
    worst.forEach((state, index) => {
      const targets = worst.slice(index).map((each) => target(each));
      expect(statusOfTargets(targets.toReversed()).state).toBe(state);
    });
    expect(statusOfTargets([])).toEqual({ state: 'synced', message: 'the ConfigMap has no mappings' });
  });

  it('is short, and long mappings are observed by their size', () => {
    const error = { code: 'TEMPLATE_FAILED', message: 'x'.repeat(5_000), remedy: 'Correct it.' };
    expect(statusOfTargets([target('failed', error)]).message).toHaveLength(1_024);
    expect(observedText('a: ü')).toBe('a: ü');
    expect(observedText('ü'.repeat(20_000))).toBe('size:40000');
  });
});
