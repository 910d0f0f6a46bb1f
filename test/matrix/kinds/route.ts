import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from '../../fakes/certificates.ts';
import { type Fault, type MatrixStore, onTheWay } from '../failures.ts';
import { type Front, replaceNames, startFront } from '../front.ts';

export const LIMITS = { requestsPerSecond: 10_000, concurrency: 2 };

export interface NetworkStore extends MatrixStore {
  readonly front: Front;
  loseName(): void;
}

/** Connection faults between the bridge and a server. */
export const WAY: readonly Fault<NetworkStore>[] = onTheWay<NetworkStore>(
  (store, face) => store.front.show(face),
  (store) => store.loseName(),
);

export interface Way extends AsyncDisposable {
  readonly front: Front;
  readonly caFile: string;
  readonly address: string;
  heal(): void;
  loseName(): void;
}

/** Opens a host name and a TLS proxy for a server. */
export async function openRoute(
  host: string,
  upstream: { port: number; secure: boolean },
  authority = createAuthority(),
): Promise<Way> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-matrix-'));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.ca);
  const front = await startFront({ authority, host, upstream });
  const names = replaceNames([host]);
  let isChanged = false;
  return {
    front: {
      ...front,
      show(face) {
        isChanged = true;
        return front.show(face);
      },
    },
    caFile,
    address: `https://${host}:${front.port}`,
    heal() {
      names.find(host);
      if (isChanged) void front.show('good');
      isChanged = false;
    },
    loseName() {
      names.lose(host);
      front.cut();
    },
    async [Symbol.asyncDispose]() {
      names[Symbol.dispose]();
      await front[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

export const portOf = (address: string) => Number(new URL(address).port);
