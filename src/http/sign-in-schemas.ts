import { ROLES } from '../core/words.ts';
import { boolean, integer, list, object, text, time } from './schema-parts.ts';

/** The schemas of the responses about people: of `/auth/…` and of the session. */
export const signInSchemas = {
  Session: object(
    {
      ...{ name: text, role: { type: 'string', enum: ROLES }, namespaces: list(text) },
      endsAt: { ...time, description: 'When a session ends that is not used any more. Absent for tokens.' },
    },
    ['namespaces', 'endsAt'],
  ),
  SignInMethods: object({
    oidc: { ...boolean, description: 'Whether `/auth/login` signs people in.' },
    session: { ...boolean, description: 'Whether the browser has sent the cookie of a session.' },
  }),
  DeviceSignIn: object(
    {
      deviceCode: { ...text, description: 'For `/auth/token`. Do not show it to anybody.' },
      userCode: { ...text, description: 'What the person enters at the provider.' },
      verificationUri: { ...text, description: 'Where the person enters the code.' },
      verificationUriComplete: { ...text, description: 'The same address with the code.' },
      expiresInSeconds: integer,
      intervalSeconds: { ...integer, description: 'How long to wait between two requests for the token.' },
    },
    ['verificationUriComplete'],
  ),
  DevicePending: object({
    pending: boolean,
    slowDown: { ...boolean, description: 'Whether to wait 5 seconds longer from now on.' },
  }),
  DeviceToken: object({
    name: text,
    token: { ...text, description: 'The bearer token of the person.' },
    renewal: { ...text, description: 'For `/auth/token`, to get a new token before this one ends.' },
    renewAfter: {
      ...time,
      description:
        'The first use after this time should get a new token. Otherwise, the session ends while it is used.',
    },
    endsAt: { ...time, description: 'When the session ends if it is not renewed.' },
  }),
} as const;
