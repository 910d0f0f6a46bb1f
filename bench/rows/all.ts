import type { Benchmark } from '../harness/row.ts';
import { awsCalls } from './aws-calls.ts';
import { azureCalls } from './azure-calls.ts';
import { distinctKeys } from './distinct-keys.ts';
import { firstSyncTime } from './first-sync.ts';
import { firstSyncContended } from './first-sync-contended.ts';
import { firstSyncSmall } from './first-sync-small.ts';
import { firstSyncVault } from './first-sync-vault.ts';
import { largeValues } from './large-values.ts';
import { massRotation } from './mass-rotation.ts';
import { newMapping } from './new-mapping.ts';
import { rotationByEvent } from './rotation-by-event.ts';
import { rotationBySweep } from './rotation-by-sweep.ts';
import { scale } from './scale.ts';
import { sharedKey } from './shared-key.ts';
import { start } from './start.ts';
import { vaultCalls } from './vault-calls.ts';

/** The benchmarks in the order of execution. */
export const BENCHMARKS: readonly Benchmark[] = [
  awsCalls,
  sharedKey,
  azureCalls,
  vaultCalls,
  firstSyncTime,
  firstSyncSmall,
  firstSyncVault,
  firstSyncContended,
  rotationByEvent,
  rotationBySweep,
  massRotation,
  newMapping,
  start,
  largeValues,
  scale,
  distinctKeys,
];
