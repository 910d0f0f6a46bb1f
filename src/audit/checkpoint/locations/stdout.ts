import { canonical } from '../../canonical.ts';
import type { CheckpointLocation } from '../checkpoint.ts';

/** Prints each checkpoint as a line `{"checkpoint":{…}}` for a log collector. The lines cannot be read back. */
export function stdoutLocation(print: (line: string) => void): CheckpointLocation {
  return {
    name: 'standard output',
    write: async (checkpoint) => print(canonical({ checkpoint })),
    checkWritable: async () => {},
    read: async () => [],
  };
}
