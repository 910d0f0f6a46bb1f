import { setFlagsFromString } from 'node:v8';

/**
 * V8 sizes its heap by the machine: with some gigabytes at hand the youngest objects get 128 MiB, and old ones are
 * collected when three quarters of them are garbage. A service that mostly waits gains nothing by it. Both flags are
 * read at each collection; what the heap has grown to by then stays, so this comes before the parts are loaded.
 * docs/adr/0050-a-heap-of-its-own-size.md
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
}
