import type { Benchmark } from '../harness/row.ts';
import { awsCalls } from './aws-calls.ts';
import { azureCalls } from './azure-calls.ts';
import { firstSyncTime } from './first-sync.ts';
import { sharedKey } from './shared-key.ts';
import { vaultCalls } from './vault-calls.ts';

/** In the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [awsCalls, sharedKey, azureCalls, vaultCalls, firstSyncTime];
