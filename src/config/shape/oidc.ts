import { z } from 'zod';
import { isLoopback } from '../../core/loopback.ts';
import { ROLES } from '../../core/words.ts';
import { Reference } from '../../providers/credentials.ts';
import { address, duration, Globs } from './fields.ts';

// The schema of `http.oidc`: how people sign in.

const secureAddress = () =>
  address().refine((text) => text.startsWith('https:') || isLoopback(text), {
    error: 'an https address; http is allowed only for loopback',
  });

const RoleRule = z.strictObject({
  group: z
    .string()
    .min(1)
    .meta({ description: 'Name or id of the group, exactly as the provider sends it.', examples: ['sre'] }),
  role: z.enum(ROLES).meta({ description: 'Role of the members. A person gets the roles of all groups.' }),
  namespaces: Globs.optional().meta({
    description:
      'Namespaces that the members may see and change with this role. What is in other namespaces does not exist for them. Default: all.',
    examples: [['payments', 'payments-*']],
  }),
});

export const Oidc = z
  .strictObject({
    issuer: secureAddress().meta({
      description: 'Address of the provider, exactly as it names itself in its tokens.',
      examples: ['https://login.example.com'],
    }),
    clientId: z
      .string()
      .min(1)
      .meta({ description: 'Id of the client that the provider has for secretbridge.' }),
    clientSecret: Reference.optional().meta({
      description: 'Secret of the client. Default: none, for a public client. PKCE is always used.',
    }),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, { error: 'a scope without spaces and quotes' }))
      .min(1)
      .optional()
      .meta({
        description:
          'Scopes to request. Default: `openid`, `profile`, `email`, and `groups` if the provider lists it.',
        examples: [['openid', 'profile', 'email', 'groups']],
      }),
    groupsClaim: z.string().min(1).default('groups').meta({
      description: 'Claim with the groups: its name, or a dotted path such as `realm_access.roles`.',
    }),
    roles: z
      .array(RoleRule)
      .min(1)
      .meta({ description: 'Roles of the groups. A person in none of the groups is refused.' }),
    session: z
      .strictObject({
        idle: duration().prefault('30m').meta({
          description: 'A session ends after this time without an action of the person.',
        }),
        absolute: duration().prefault('12h').meta({
          description: 'A session ends at the latest after this time.',
        }),
      })
      .prefault({})
      .meta({ description: 'When people must sign in again.' }),
    publicUrl: secureAddress()
      .optional()
      .meta({
        description:
          'Address of the review page in the browsers of people. Default: the host that the browser names. Needed if a proxy changes the host or the path.',
        examples: ['https://secretbridge.example.com'],
      }),
  })
  .meta({
    title: 'OIDC',
    description: 'Sign-in of people by OpenID Connect, for the review page and `secretbridge login`.',
  });
