import { readFile } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import { AppError } from '../core/errors.ts';
import { codeOf } from '../core/system-errors.ts';
import { allowedAddresses } from './addresses.ts';
import type { EmailChannel, Send, SendDeps } from './channel.ts';
import { subjectOf, textOf } from './message.ts';
import { failureOf } from './post.ts';

/** Each step of an SMTP session gets this time. */
const TIMEOUT_MS = 10_000;

export const sendEmail: Send<'email'> = async (channel, message, deps) => {
  const to = (await deps.credential(channel.address)).revealText().trim();
  const transport = await openTransport(channel, deps);
  const onAbort = () => transport.close();
  deps.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await transport.sendMail({
      ...{ from: channel.from, to, subject: subjectOf(message), text: textOf(message) },
      // Receivers drop a second copy with the same id.
      messageId: `<${message.id}@secretbridge.${message.instance}>`,
      headers: { 'X-Secretbridge-Delivery': message.id, 'Auto-Submitted': 'auto-generated' },
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  } catch (thrown) {
    if (deps.signal.aborted) throw deps.signal.reason;
    throw mailFailure(thrown);
  } finally {
    deps.signal.removeEventListener('abort', onAbort);
    transport.close();
  }
};

async function openTransport({ server, allowPrivate }: EmailChannel, { credential }: SendDeps) {
  const { host, port, security, username, password, caFile } = server;
  const [first] = await resolved(host, allowPrivate);
  const pass = password && (await credential(password)).revealText();
  return createTransport({
    // Connect to the address that was checked, and verify the certificate for the name.
    ...{ host: first?.address ?? host, port, name: 'secretbridge' },
    secure: security === 'tls',
    requireTLS: security === 'startTls',
    ignoreTLS: security === 'none',
    tls: {
      servername: host,
      rejectUnauthorized: true,
      ...(caFile === undefined ? {} : { ca: await readCa(caFile) }),
    },
    ...(username === undefined ? {} : { auth: { user: username, pass: pass ?? '' } }),
    ...{ connectionTimeout: TIMEOUT_MS, greetingTimeout: TIMEOUT_MS, socketTimeout: TIMEOUT_MS },
    ...{ disableFileAccess: true, disableUrlAccess: true, logger: false },
  });
}

async function resolved(host: string, allowPrivate: boolean) {
  try {
    return await allowedAddresses(host, allowPrivate);
  } catch (thrown) {
    throw failureOf(thrown, false);
  }
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === undefined) throw thrown;
    throw new AppError('CREDENTIAL_MISSING', { detail: `file ${path} cannot be read` });
  }
}

/** What the codes of nodemailer mean. The server's own text could quote the message. */
const MEANINGS: Readonly<Record<string, string>> = {
  EAUTH: 'the mail server refused the login',
  EENVELOPE: 'the mail server refused the sender or a receiver',
  EMESSAGE: 'the mail server refused the message',
  ETLS: 'the mail server does not offer TLS',
};

function mailFailure(thrown: unknown): AppError {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? String(thrown.code) : '';
  const meaning = MEANINGS[code];
  if (meaning === undefined) return failureOf(thrown, code === 'ETIMEDOUT');
  return new AppError('NOTIFY_FAILED', { detail: meaning, needsAction: code === 'EAUTH' });
}
