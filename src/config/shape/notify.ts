import { z } from 'zod';
import { TROUBLE_KINDS } from '../../core/troubles.ts';
import { Reference } from '../../providers/credentials.ts';
import { durationOrZero, Globs, localPath, Name, wholeNumber } from './fields.ts';

// The schema of the section that names the receivers of notifications.

const common = {
  name: Name.meta({ description: 'Unique name of the channel.', examples: ['ops'] }),
  on: z
    .array(z.enum(TROUBLE_KINDS))
    .min(1)
    .default([...TROUBLE_KINDS])
    .meta({
      description: 'The troubles to report. Default: all.',
      examples: [['held', 'failed', 'approval']],
    }),
  namespaces: Globs.optional().meta({
    description:
      'Namespaces of the targets, as globs. Then the channel gets nothing without a namespace, such as problems of the audit log. Default: all.',
    examples: [['payments', 'payments-*']],
  }),
  after: durationOrZero().prefault('5m').meta({
    description:
      'How long a target must be `refused`, `failed` or `contested` before a message. Everything else is reported at once.',
  }),
  allowPrivate: z.boolean().default(false).meta({
    description: 'Whether the address may be in a private network, or on this machine.',
  }),
};

const url = Reference.meta({ description: 'The address. https; http on loopback only.' });

const MailServer = z
  .strictObject({
    host: z
      .string()
      .regex(/^[-A-Za-z0-9.:]{1,253}$/, { error: 'a host name or an IP address' })
      .meta({ description: 'Host of the mail server.', examples: ['smtp.example.com'] }),
    port: wholeNumber(1, 65_535).default(587).meta({ description: 'Port of the mail server.' }),
    security: z.enum(['startTls', 'tls', 'none']).default('startTls').meta({
      description:
        '`startTls`: TLS is required before the login · `tls`: TLS from the start, usually port 465 · `none`: no TLS, and no login.',
    }),
    caFile: localPath().optional().meta({ description: 'Certificate authorities to trust instead, PEM.' }),
    username: z.string().min(1).optional().meta({ description: 'User name of the login.' }),
    password: Reference.optional().meta({ description: 'Password of the login.' }),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    error: '`username` and `password`, or neither',
  })
  .refine(({ username, security }) => username === undefined || security !== 'none', {
    error: 'TLS for a login: the password would be sent in clear text',
    path: ['security'],
  });

/** A sender such as `ops@example.com` or `Secretbridge <ops@example.com>`. No line breaks, which would add headers. */
const SENDER = /^(?:[^<>\r\n"]{1,100} <)?[^\s<>@",;]{1,64}@[^\s<>@",;]{1,255}>?$/;

const Channel = z.discriminatedUnion('kind', [
  z
    .strictObject({
      ...common,
      kind: z.literal('webhook'),
      url,
      secret: Reference.meta({ description: 'The key that signs the messages.' }),
    })
    .meta({ title: 'Webhook' }),
  z.strictObject({ ...common, kind: z.literal('slack'), url }).meta({ title: 'Slack' }),
  z
    .strictObject({
      ...common,
      kind: z.literal('email'),
      address: Reference.meta({ description: 'The receivers, separated by commas.' }),
      from: z
        .string()
        .regex(SENDER, { error: 'an e-mail address' })
        .meta({
          description: 'The sender.',
          examples: ['secretbridge@example.com'],
        }),
      server: MailServer.meta({ description: 'The mail server.' }),
    })
    .meta({ title: 'E-mail' }),
]);

export const NotifyChannel = Channel.transform(({ after, ...channel }) => ({
  ...channel,
  afterMs: after,
})).meta({
  title: 'Channel',
  description:
    'Where messages about troubles go. Each trouble makes a message when it begins and when it ends.',
});
