import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { createAuthority } from '../fakes/certificates.ts';

interface Mail {
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly secure: boolean;
  readonly text: string;
}

export interface MailServer extends AsyncDisposable {
  readonly port: number;
  /** The authority of its certificate. */
  readonly caFile: string;
  readonly received: readonly Mail[];
}

/** Starts a mail server that collects what it receives. Its errors contain `said by the server`. */
export async function startMailServer({ tls = true } = {}): Promise<MailServer> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-mail-'));
  const authority = createAuthority();
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.ca);
  const { cert, key } = authority.issue({ names: ['localhost'] });
  const received: Mail[] = [];
  const refusal = (code: number) => Object.assign(new Error('said by the server'), { responseCode: code });
  const server = new SMTPServer({
    ...{ cert, key, logger: false, authOptional: true, disableReverseLookup: true },
    disabledCommands: tls ? [] : ['STARTTLS', 'AUTH'],
    onAuth({ username, password }, _, done) {
      if (password === 'right') done(null, { user: username ?? '' });
      else done(refusal(535));
    },
    onRcptTo({ address }, _, done) {
      done(address.startsWith('unknown') ? refusal(550) : null);
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        received.push({
          to: session.envelope.rcptTo.map(({ address }) => address),
          user: session.user,
          secure: session.secure,
          text: Buffer.concat(chunks).toString('utf8'),
        });
        done();
      });
    },
  });
  // A client that rejects the certificate ends the connection.
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    caFile,
    received,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
