import type { App } from '../../app/app.ts';
import {
  type CredentialWatch,
  type WatchedCredential,
  watchCredentials,
  watchedCredentialsIn,
} from '../../config/watch/credentials.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import type { Controller } from '../../service/controller.ts';
import type { Intakes } from './intakes.ts';

export interface WatchedCredentialsDeps {
  readonly credential: ReadCredential;
  readonly controller: Pick<Controller, 'loops' | 'storeRecovered'>;
  readonly intakes: Pick<Intakes, 'reset'>;
  /** Called when the service must be replaced, because its own credentials have changed. */
  readonly onOutdated: () => void;
}

/** The owner of the service's own credentials. It is not a valid store name. */
const SERVICE_OWNER = '';
const DEADLINE_MS = 120_000;

/** Watches the credentials of the app. Reopens a store whose credentials have changed. */
export function watchAppCredentials(app: App, deps: WatchedCredentialsDeps): CredentialWatch {
  const { credential, controller, intakes, onOutdated } = deps;
  const { logger } = app;
  const loop = controller.loops.begin('credentials', DEADLINE_MS);
  return watchCredentials({
    references: () => referencesOf(app),
    resolve: credential,
    fingerprint: (value) => app.fingerprints.value(value),
    async onChange(owner) {
      if (owner === SERVICE_OWNER) {
        logger.info('credentials of the service have changed');
        return onOutdated();
      }
      logger.info('the credentials of a store have changed', { store: owner });
      app.stores.reset(owner);
      controller.storeRecovered(owner);
      await intakes.reset(owner);
    },
    onProgress(error) {
      loop.beat();
      if (error !== undefined) logger.debug('credentials could not be checked', { error });
    },
  });
}

/**
 * Returns the credentials to watch, by owner. The certificate and the URL of the audit store are not watched. The HTTP
 * server reloads its certificate, and the audit store resolves its URL for each connection.
 */
function referencesOf({ config }: App): ReadonlyMap<string, readonly WatchedCredential[]> {
  const own = [config.engine, config.http.tokens].flatMap(watchedCredentialsIn);
  return new Map([
    [SERVICE_OWNER, own],
    ...config.stores.map((store) => [store.name, watchedCredentialsIn(store)] as const),
  ]);
}
