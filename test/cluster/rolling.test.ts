import { describe, expect, it } from 'vitest';
import { isRolling, isStalled } from '../../src/cluster/rolling.ts';
import type { WorkloadKind } from '../../src/cluster/workloads.ts';

type Case = [what: string, rolling: boolean, spec: object, status: object];

const at = { observedGeneration: 3 };
const item = (spec: object, status: object) => ({ metadata: { generation: 3 }, spec, status });
const stuck = { conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] };
const all = { ...at, replicas: 2, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2 };
const canary = (step: object) => ({ strategy: { canary: { steps: [{ setWeight: 50 }, step] } } });
const revisions = { currentRevision: 'a', updateRevision: 'b' };

const CASES: Record<WorkloadKind, Case[]> = {
  Deployment: [
    ['is new to its controller', true, { replicas: 2 }, {}],
    ['changed since its controller observed it', true, { replicas: 2 }, { ...all, observedGeneration: 2 }],
    ['has all its pods', false, { replicas: 2 }, all],
    [
      'has its default single pod',
      false,
      {},
      { ...all, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
    ],
    ['has old pods among its replicas', true, { replicas: 2 }, { ...all, updatedReplicas: 1 }],
    ['has an old pod that is still terminating', true, { replicas: 2 }, { ...all, replicas: 3 }],
    ['has a new pod that is not ready', true, { replicas: 2 }, { ...all, availableReplicas: 1 }],
    ['wants no pods', false, { replicas: 0 }, at],
    ['is paused', false, { replicas: 2, paused: true }, { ...all, updatedReplicas: 0 }],
    ['is past its progress deadline', false, { replicas: 2 }, { ...all, ...stuck, availableReplicas: 1 }],
  ],
  StatefulSet: [
    ['is new to its controller', true, { replicas: 2 }, {}],
    ['has all its pods', false, { replicas: 2 }, { ...all, currentRevision: 'b', updateRevision: 'b' }],
    ['has pods of two revisions', true, { replicas: 2 }, { ...all, ...revisions }],
    ['has a pod that is not ready', true, { replicas: 2 }, { ...all, readyReplicas: 1 }],
    [
      'keeps pods below its partition',
      false,
      { replicas: 2, updateStrategy: { rollingUpdate: { partition: 1 } } },
      { ...all, ...revisions, updatedReplicas: 1 },
    ],
    [
      'has old pods above its partition',
      true,
      { replicas: 2, updateStrategy: { rollingUpdate: { partition: 1 } } },
      { ...all, ...revisions, updatedReplicas: 0 },
    ],
    [
      'updates only on deletion',
      false,
      { replicas: 2, updateStrategy: { type: 'OnDelete' } },
      { ...all, ...revisions },
    ],
  ],
  DaemonSet: [
    ['is new to its controller', true, {}, {}],
    [
      'has all its pods',
      false,
      {},
      { ...at, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 },
    ],
    [
      'has old pods',
      true,
      {},
      { ...at, desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2 },
    ],
    [
      'lacks a pod',
      true,
      {},
      { ...at, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 },
    ],
    ['has no node', false, {}, { ...at, desiredNumberScheduled: 0 }],
    [
      'updates only on deletion',
      false,
      { updateStrategy: { type: 'OnDelete' } },
      { ...at, desiredNumberScheduled: 2 },
    ],
  ],
  Rollout: [
    ['is new to its controller', true, {}, {}],
    ['changed since its controller observed it', true, {}, { observedGeneration: '2', phase: 'Healthy' }],
    ['is healthy', false, {}, { observedGeneration: '3', phase: 'Healthy' }],
    ['progresses', true, {}, { observedGeneration: '3', phase: 'Progressing' }],
    [
      'waits for a person',
      false,
      canary({ pause: {} }),
      { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
    ],
    [
      'waits for a minute',
      true,
      canary({ pause: { duration: '1m' } }),
      { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
    ],
    [
      'waits for its automatic promotion',
      true,
      { strategy: { blueGreen: { autoPromotionSeconds: 60 } } },
      { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
    ],
    ['has failed', false, {}, { observedGeneration: '3', phase: 'Degraded' }],
    [
      'has an old release format, with all its pods',
      false,
      { replicas: 2 },
      { ...all, observedGeneration: '7c9f' },
    ],
    [
      'has an old release format, with old pods',
      true,
      { replicas: 2 },
      { ...all, observedGeneration: '7c9f', updatedReplicas: 1 },
    ],
  ],
};

it.each<[what: string, kind: WorkloadKind, stalled: boolean, spec: object, status: object]>([
  [
    'is paused with old pods',
    'Deployment',
    true,
    { replicas: 2, paused: true },
    { ...all, updatedReplicas: 0 },
  ],
  ['is paused with new pods', 'Deployment', false, { replicas: 2, paused: true }, all],
  ['is past its deadline', 'Deployment', true, { replicas: 2 }, { ...all, ...stuck, availableReplicas: 1 }],
  ['was past its deadline', 'Deployment', false, { replicas: 2 }, { ...all, ...stuck }],
  ['changed since then', 'Deployment', false, { replicas: 2 }, { ...all, ...stuck, observedGeneration: 2 }],
  ['has old pods', 'Deployment', false, { replicas: 2 }, { ...all, updatedReplicas: 1 }],
  ['has failed', 'Rollout', true, {}, { observedGeneration: '3', phase: 'Degraded' }],
  [
    'waits at a step',
    'Rollout',
    true,
    canary({ pause: {} }),
    { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
  ],
  [
    'waits at a step with a duration',
    'Rollout',
    false,
    canary({ pause: { duration: 60 } }),
    { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
  ],
  [
    'waits for its promotion',
    'Rollout',
    true,
    { strategy: { blueGreen: {} } },
    { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
  ],
  [
    'is paused with old pods',
    'Rollout',
    true,
    { paused: true },
    { observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
  ],
  [
    'is paused with new pods',
    'Rollout',
    false,
    { replicas: 2, paused: true },
    { ...all, observedGeneration: '3', phase: 'Paused', currentStepIndex: 1 },
  ],
  ['has old pods', 'StatefulSet', false, { replicas: 2 }, { ...all, ...revisions, updatedReplicas: 0 }],
])('a rollout waits for a person if the workload %s (%s): %s', (_, kind, stalled, spec, status) => {
  expect(isStalled(kind, item(spec, status))).toBe(stalled);
});

describe.each(Object.keys(CASES) as WorkloadKind[])('a %s', (kind) => {
  it.each(CASES[kind])('a rollout is in progress if the workload %s: %s', (_, rolling, spec, status) => {
    expect(isRolling(kind, item(spec, status))).toBe(rolling);
  });
});
