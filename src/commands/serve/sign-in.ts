import type { App } from '../../app/app.ts';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import { signOutQuery } from '../../http/sign-in-records.ts';
import type { ReadCredential } from '../../providers/credentials.ts';
import type { StatusWarning } from '../../service/service.ts';
import { createProvider } from '../../sign-in/provider.ts';
import { createSessions } from '../../sign-in/sessions.ts';
import { createSignIn, type SignIn } from '../../sign-in/sign-in.ts';
import type { Logger } from '../../telemetry/logger.ts';

export interface OpenSignInDeps {
  readonly app: Pick<App, 'clock' | 'sealer' | 'storedAudit'> & {
    readonly config: Pick<Config, 'approvals'>;
  };
  readonly credential: ReadCredential;
  readonly logger: Logger;
}

/** Returns undefined without `http.oidc`. Sends no request: the provider may be down while the service starts. */
export function openSignIn(
  { http: { oidc } }: Pick<Config, 'http'>,
  { app, credential, logger }: OpenSignInDeps,
): SignIn | undefined {
  if (oidc === undefined) return undefined;
  const { clock, sealer, storedAudit } = app;
  const { clientSecret, session: times } = oidc;
  const sessions = createSessions({ clock, sealer, times, isEnded: (id) => isEnded(storedAudit, id) });
  const provider = createProvider(oidc, {
    clock,
    clientSecret: clientSecret && (() => credential(clientSecret)),
    onChange: (error) => {
      if (error === undefined) logger.info('the OIDC provider can be reached again');
      else logger.warn('the OIDC provider has a problem', { error });
    },
  });
  // Approvals may change while the service runs.
  const otherGroups = () => app.config.approvals.flatMap(({ approvers: { groups = [] } }) => groups);
  return createSignIn(oidc, { provider, sessions, sealer, clock, otherGroups });
}

/** Returns what `status` reports about the provider. */
export function signInWarnings(signIn: Pick<SignIn, 'problem'> | undefined): readonly StatusWarning[] {
  const error = signIn?.problem();
  return error === undefined ? [] : [{ code: error.code, message: error.message }];
}

/** The audit is the list of ended sessions, which all replicas share. */
async function isEnded(audit: Pick<App['storedAudit'], 'list'>, id: string): Promise<boolean> {
  try {
    const records = await audit.list(signOutQuery(id), { limit: 1 });
    return records.length > 0;
  } catch (error) {
    // During an outage of the audit, people must still see the status. Nothing can be changed meanwhile.
    if (error instanceof AppError) return false;
    throw error;
  }
}
