import type { Entry, EntrySource } from '../../src/audit/entry.ts';
import { ANN, change, entry, print, request, typical } from './scene.ts';
import type { Scene } from './site.ts';

const CACHE = { mapping: 'cache', namespace: 'shop', secret: 'redis-auth' } as const;
const KEYS = { added: [], changed: ['password'], removed: [] };
const at = (version: string): readonly EntrySource[] => [
  { store: 'team-vault', key: 'cache/redis', property: 'password', version },
];

/** Records 21 to 24 describe a password rotation, and a rollback of this rotation by the user `ann`. */
const ENTRIES: readonly Entry[] = [
  ...change(12, { ...CACHE, action: 'update', sources: at('3'), after: print('1d0c7e4b92'), keys: KEYS }),
  ...change(13, { ...CACHE, action: 'update', sources: at('4'), after: print('c03f55aa7e'), keys: KEYS }),
  entry({
    ...{ ...CACHE, action: 'rollback', actor: ANN, requestId: request(14) },
    ...{ sources: at('3'), note: 'to record 22 team-vault@9f4c02ab' },
  }),
  ...change(14, {
    ...{ ...CACHE, action: 'update', actor: ANN, sources: at('3'), keys: KEYS },
    ...{ before: print('c03f55aa7e'), after: print('1d0c7e4b92') },
  }),
];

/** Returns the typical scene with one additional target that was rolled back. */
export function rolledBack(): Scene {
  const scene = typical();
  return { ...scene, entries: [...scene.entries, ...ENTRIES] };
}
