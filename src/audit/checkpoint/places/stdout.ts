import { canonical } from '../../canonical.ts';
import type { CheckpointPlace } from '../checkpoint.ts';

/** Into the log that somebody collects: `{"checkpoint":{…}}`, a line each. What is there cannot be read again. */
export function stdoutPlace(print: (line: string) => void): CheckpointPlace {
  return {
    name: 'standard output',
    write: async (checkpoint) => print(canonical({ checkpoint })),
    rehearse: async () => {},
    read: async () => [],
  };
}
