import { createSecureContext, getCACertificates } from 'node:tls';
import { buildConnector } from 'undici';
import { readAuthorities, readPem } from '../../core/small-file.ts';
import { readSoon } from '../read-soon.ts';
import type { VaultConfig } from './config.ts';

/** PEM texts. */
interface Files {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * How connections are made. Trusts `tls.caFile` instead of the usual authorities, and `NODE_EXTRA_CA_CERTS` in any
 * case. The files are read anew for each connection, since certificates are rotated while the process lives; one
 * that cannot be read fails the connection with CONFIG_INVALID, or CREDENTIAL_MISSING where it is a login.
 */
export function createConnector(config: VaultConfig): buildConnector.connector {
  let latest: { readonly files: Files; readonly connect: buildConnector.connector } | undefined;
  const connectorOfNow = async (): Promise<buildConnector.connector> => {
    const files = await readFiles(config);
    // Kept while the files stay the same, for the TLS sessions that it can resume.
    if (latest === undefined || !same(latest.files, files)) {
      latest = { files, connect: connectorWith(files, config.tls?.serverName) };
    }
    return latest.connect;
  };
  return (options, callback) => {
    const fail = (error: unknown) =>
      callback(error instanceof Error ? error : new Error('no connection'), null);
    connectorOfNow().then((connect) => {
      try {
        connect(options, callback);
      } catch (error) {
        fail(error); // OpenSSL refuses a certificate or key that it cannot use
      }
    }, fail);
  };
}

function connectorWith({ ca, cert, key }: Files, serverName: string | undefined): buildConnector.connector {
  // Made once: to parse the authorities takes longer than a request, and would be done for each connection.
  const secureContext =
    ca === undefined && cert === undefined && key === undefined
      ? undefined
      : createSecureContext({
          ...(ca === undefined ? {} : { ca: [...getCACertificates('extra'), ca] }),
          ...(cert === undefined ? {} : { cert }),
          ...(key === undefined ? {} : { key }),
        });
  const connect = buildConnector({
    allowH2: false, // undici 8 hangs after a GOAWAY
    timeout: 10_000,
    rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not switch it off
    ...(secureContext === undefined ? {} : { secureContext }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  return (options, callback) =>
    connect(options, (...result) => {
      const [, socket] = result;
      // With TLS 1.3 a server refuses our certificate, or asks for one, when the handshake is done, and closes. Of the
      // two undici would keep the closing.
      socket?.once('error', (error) => socket.destroy(error));
      callback(...result);
    });
}

async function readFiles({ tls, auth }: VaultConfig): Promise<Files> {
  const isLogin = auth.method === 'cert';
  const client = isLogin ? auth : tls;
  const code = isLogin ? 'CREDENTIAL_MISSING' : 'CONFIG_INVALID';
  const [ca, cert, key] = await Promise.all([
    tls?.caFile === undefined
      ? undefined
      : readAuthorities(tls.caFile, { code: 'CONFIG_INVALID', read: readSoon }),
    client?.certFile === undefined ? undefined : readPem(client.certFile, { code, read: readSoon }),
    client?.keyFile === undefined ? undefined : readPem(client.keyFile, { code, read: readSoon }),
  ]);
  return { ca, cert, key };
}

function same(a: Files, b: Files): boolean {
  return a.ca === b.ca && a.cert === b.cert && a.key === b.key;
}
