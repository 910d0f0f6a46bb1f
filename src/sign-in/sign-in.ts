import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type Namespaces, namespacesOf, type Role, sufficientRoles } from '../core/roles.ts';
import type { Sealer } from '../core/sealer.ts';
import { ROLES } from '../core/words.ts';
import { areGroupsLeftOut, type Claims, type SignedIn, signedInOf } from './claims.ts';
import type { DeviceSignIn, Provider } from './provider.ts';
import type { Session, Sessions } from './sessions.ts';

/** Gives the members of a group a role. */
export interface RoleRule {
  readonly group: string;
  readonly role: Role;
  /** Globs. Undefined: all namespaces. */
  readonly namespaces?: readonly string[] | undefined;
}

/** The credentials of the command line. Both are encrypted. */
export interface CliCredentials {
  readonly session: Session;
  readonly token: string;
  /** Needed for a new token. It ends with the session. */
  readonly renewal: string;
  /** The first use after this time should renew the session, in milliseconds since 1970. */
  readonly renewAfter: number;
}

/** Signs people in by OIDC. */
export interface SignIn {
  readonly sessions: Pick<Sessions, 'open' | 'renewIfDue' | 'seal' | 'ended'>;
  /** The address of the review page in browsers, if it is configured. */
  readonly publicUrl: string | undefined;
  /** @param returnTo The fragment of the page to show after the sign-in. */
  begin(redirectUri: string, returnTo: string): Promise<{ readonly url: string; readonly pending: string }>;
  /**
   * @param pending The text that `begin` returned to the same browser.
   * @throws AppError SIGN_IN_REFUSED, OIDC_UNAVAILABLE, or a RoleMissing
   */
  finish(
    parameters: URLSearchParams,
    pending: string | undefined,
  ): Promise<{ readonly session: Session; readonly returnTo: string }>;
  beginDevice(): Promise<DeviceSignIn>;
  /** Returns credentials, or undefined if the person has not confirmed yet. */
  finishDevice(deviceCode: string): Promise<CliCredentials | { readonly slowDown: boolean }>;
  /** Asks the provider again, so that the session follows its groups. @throws AppError SESSION_ENDED if it was idle */
  renewCli(renewal: string): Promise<CliCredentials>;
  /** Verifies a token of the provider that a client presents. */
  verify(token: string): Promise<SignedIn>;
  /** Returns why the provider could not be reached lately. */
  problem(): AppError | undefined;
  /** Returns the namespaces in which these groups give the role. Undefined: nowhere. */
  namespaces(groups: readonly string[], role: Role): Namespaces | undefined;
}

/** The refusal of a person without a role. The provider has verified who the person is. */
export class RoleMissing extends AppError {
  readonly signedIn: SignedIn;

  constructor(signedIn: SignedIn, detail: string | undefined) {
    super('ROLE_MISSING', { subject: signedIn.person.name, ...(detail === undefined ? {} : { detail }) });
    this.signedIn = signedIn;
    Object.defineProperty(this, 'signedIn', { enumerable: false });
  }
}

export interface SignInConfig {
  readonly issuer: string;
  readonly groupsClaim: string;
  readonly roles: readonly RoleRule[];
  readonly publicUrl?: string | undefined;
}

export interface SignInDeps {
  /** Returns the groups that matter besides the groups of `roles`. */
  readonly otherGroups: () => readonly string[];
  readonly provider: Provider;
  readonly sessions: Sessions;
  readonly sealer: Sealer;
  readonly clock: Clock;
}

/** How long a person may take at the provider. */
const PENDING_MS = 10 * 60_000;

const Pending = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  returnTo: z.string(),
  until: z.number(),
});
const Renewal = z.object({ session: z.string(), refreshToken: z.string().optional() });

export function createSignIn(config: SignInConfig, deps: SignInDeps): SignIn {
  const { provider, sessions, sealer, clock, otherGroups } = deps;
  const wanted = () => new Set([...config.roles.map(({ group }) => group), ...otherGroups()]);
  const namespaces = (groups: readonly string[], role: Role) => namespacesFor(config.roles, groups, role);

  function signedIn(claims: Claims): SignedIn {
    const person = signedInOf(claims, config.groupsClaim, wanted());
    if (namespaces(person.groups, ROLES[0]) !== undefined) return person;
    const detail = areGroupsLeftOut(claims, config.groupsClaim)
      ? 'the provider leaves the groups out, because the person is in too many; let it send only the assigned groups'
      : undefined;
    throw new RoleMissing(person, detail);
  }

  const credentialsOf = (session: Session, refreshToken: string | undefined) =>
    cliCredentials(session, refreshToken, deps);

  return {
    sessions,
    publicUrl: config.publicUrl?.replace(/\/+$/, ''),
    namespaces,
    problem: () => provider.problem(),
    async begin(redirectUri, returnTo) {
      const { url, pending } = await provider.begin(redirectUri);
      const until = clock.now() + PENDING_MS;
      return { url, pending: sealer.seal('pending', { ...pending, returnTo, until }) };
    },
    async finish(parameters, text) {
      const pending = Pending.safeParse(text === undefined ? undefined : sealer.open('pending', text)).data;
      if (pending === undefined || clock.now() >= pending.until) throw refused(NOT_STARTED);
      if (parameters.get('state') !== pending.state)
        throw refused('the answer belongs to another sign-in (state)');
      const { claims } = await provider.finish(parameters, pending);
      return { session: sessions.start('browser', signedIn(claims)), returnTo: pending.returnTo };
    },
    beginDevice: () => provider.beginDevice(),
    async finishDevice(deviceCode) {
      const answer = await provider.finishDevice(deviceCode);
      if ('slowDown' in answer) return answer;
      return credentialsOf(sessions.start('cli', signedIn(answer.claims)), answer.refreshToken);
    },
    async renewCli(text) {
      const renewal = Renewal.safeParse(sealer.open('renewal', text)).data;
      if (renewal === undefined) throw new AppError('SESSION_ENDED');
      const session = await sessions.open(renewal.session);
      // Without a refresh token, the groups cannot be asked for again. They are kept, as in a browser.
      if (renewal.refreshToken === undefined) return credentialsOf(sessions.renew(session), undefined);
      const { claims, refreshToken } = await provider.refresh(renewal.refreshToken);
      const person = signedIn(claims);
      if (person.person.subject !== session.person.subject)
        throw refused('the provider names another person');
      return credentialsOf(sessions.renew(session, person), refreshToken);
    },
    async verify(token) {
      return signedInOf(await provider.verify(token), config.groupsClaim, wanted());
    },
  };
}

function cliCredentials(
  session: Session,
  refreshToken: string | undefined,
  { sessions, sealer }: Pick<SignInDeps, 'sessions' | 'sealer'>,
): CliCredentials {
  const token = sessions.seal(session);
  const renewal = sealer.seal('renewal', { session: token, refreshToken });
  return { session, token, renewal, renewAfter: sessions.renewAfter(session) };
}

const NOT_STARTED = 'it was not started in this browser, or took longer than 10 minutes';

function refused(detail: string): AppError {
  return new AppError('SIGN_IN_REFUSED', { detail });
}

function namespacesFor(
  rules: readonly RoleRule[],
  groups: readonly string[],
  role: Role,
): Namespaces | undefined {
  const sufficient = sufficientRoles(role);
  const matching = rules.filter((rule) => groups.includes(rule.group) && sufficient.includes(rule.role));
  if (matching.length === 0) return undefined;
  const globs = matching.map((rule) => rule.namespaces);
  return globs.some((one) => one === undefined)
    ? 'all'
    : namespacesOf([...new Set(globs.flatMap((one) => one ?? []))]);
}
