import { createHmac } from 'node:crypto';
import { assertNever } from '../core/errors.ts';
import type { Channel, Send, SendDeps } from './channel.ts';
import { type Message, subjectOf, textOf } from './message.ts';
import { post } from './post.ts';

/** Sends a message over its channel, once. @throws AppError NOTIFY_FAILED or CREDENTIAL_MISSING */
export async function send(channel: Channel, message: Message, deps: SendDeps): Promise<void> {
  switch (channel.kind) {
    case 'webhook':
      return sendWebhook(channel, message, deps);
    case 'slack':
      return sendSlack(channel, message, deps);
    case 'email': {
      // Loaded only when it is needed.
      const { sendEmail } = await import('./email.ts');
      return sendEmail(channel, message, deps);
    }
    default:
      return assertNever(channel);
  }
}

/** Signs as the event webhooks do: the HMAC-SHA-256 of the time, a dot and the body. */
const sendWebhook: Send<'webhook'> = async (channel, message, { credential, now, signal }) => {
  const [url, key] = await Promise.all([credential(channel.url), credential(channel.secret)]);
  const body = JSON.stringify(message);
  const time = String(Math.floor(now() / 1_000));
  const digest = createHmac('sha256', key.reveal()).update(`${time}.${body}`).digest('hex');
  await post({
    ...{ url, body, allowPrivate: channel.allowPrivate, signal },
    headers: {
      'x-secretbridge-signature': `t=${time},v1=${digest}`,
      'x-secretbridge-delivery': message.id,
    },
  });
};

/** https://api.slack.com/messaging/webhooks. A text may have 40,000 characters. */
const sendSlack: Send<'slack'> = async (channel, message, { credential, signal }) => {
  const url = await credential(channel.url);
  const text = escaped(`*${subjectOf(message)}*\n\n${textOf(message)}`).slice(0, MAX_SLACK_TEXT);
  await post({
    ...{ url, allowPrivate: channel.allowPrivate, signal },
    body: JSON.stringify({ text, unfurl_links: false, unfurl_media: false }),
  });
};

const MAX_SLACK_TEXT = 30_000;

/** https://api.slack.com/reference/surfaces/formatting#escaping */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
