import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects all garbage. V8 defines `gc` only in contexts that are created after its flag was set. */
export const collectGarbage: () => void = runInNewContext('gc');
