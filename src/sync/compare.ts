import type { Fingerprint, Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import { compareText } from '../core/target.ts';

export interface KeyPlan {
  readonly name: string;
  readonly action: 'add' | 'change' | 'remove' | 'keep';
  readonly before?: Fingerprint;
  readonly after?: Fingerprint;
}

/** Plans an action for each key, sorted by name. */
export function compareData(
  desired: ReadonlyMap<string, SecretValue>,
  live: ReadonlyMap<string, SecretValue>,
  fingerprints: Fingerprinter,
): readonly KeyPlan[] {
  const names = [...new Set([...desired.keys(), ...live.keys()])].sort(compareText);
  return names.map((name): KeyPlan => {
    const [before, after] = [live.get(name), desired.get(name)];
    const fingerprintsOf = {
      ...(before === undefined ? {} : { before: fingerprints.value(before) }),
      ...(after === undefined ? {} : { after: fingerprints.value(after) }),
    };
    if (before === undefined) return { name, action: 'add', ...fingerprintsOf };
    if (after === undefined) return { name, action: 'remove', ...fingerprintsOf };
    return { name, action: before.equals(after) ? 'keep' : 'change', ...fingerprintsOf };
  });
}
